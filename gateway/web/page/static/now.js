// SPDX-License-Identifier: GPL-2.0-or-later
// Now: the calls under way, the queues, what would be refused, and what all of it hangs on.

import { callLine, head } from "./call_line.js";
import { h, Keyed, replace, write } from "./dom.js";
import { age, clock, many, since } from "./format.js";
import { refusal } from "./words.js";

/** Now is drawn anew each second, for what counts up, and whenever something is told. */
export function view(root, _parameters, { live, session, say }) {
  const empty = h("p", { class: "soft" }, "asking the gateway");
  const list = h("ul", { class: "plain", "aria-label": "Calls under way" });
  const count = h("h1", {}, "Now");
  const problems = h("div", { role: "alert" });
  const queues = h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Table of queues" });
  const refused = h("ul", { class: "plain" });
  const hangs = h("ul", { class: "plain" });
  const calls = new Keyed(list, (call) => call.call, (call) => callLine(call, session, say));
  const drawn = new Map();
  root.append(
    count,
    problems,
    h("section", { class: "panel", "aria-labelledby": "calls" }, h("h2", { id: "calls" }, "Calls"), head(), list, empty),
    h(
      "div",
      { class: "columns" },
      h("section", { class: "panel", "aria-labelledby": "queues" }, h("h2", { id: "queues" }, "Queues"), queues),
      h("section", { class: "panel", "aria-labelledby": "doors" }, h("h2", { id: "doors" }, "Would be refused now"), refused),
      h("section", { class: "panel", "aria-labelledby": "hangs" }, h("h2", { id: "hangs" }, "What it hangs on"), hangs),
    ),
  );

  /** Draws a part anew where what it is made of has changed. */
  function part(name, made, draw) {
    const said = JSON.stringify(made);
    if (drawn.get(name) === said) return;
    drawn.set(name, said);
    draw();
  }

  function show() {
    const told = live.now;
    if (told === null) return;
    const at = live.clock;
    const { counts } = told;
    write(count, `${many(counts.calls, "call")} now, ${counts.transfers ? many(counts.transfers, "transfer") : "no transfer"} under way`);
    part("problems", told.gateway.problems, () => replace(problems, told.gateway.problems.map((each) => h("p", { class: "problem" }, each))));
    const more = counts.calls - told.calls.length;
    empty.hidden = told.calls.length > 0 && more <= 0;
    write(empty, told.calls.length ? `and ${many(more, "call")} more, which are not shown` : "Nobody is calling.");
    // The newest first, whatever becomes of them: lines that change places cannot be read.
    const shown = [...told.calls].sort((a, b) => (a.call < b.call ? 1 : -1));
    calls.show(shown.map((call) => ({ ...call, now: at })));
    part("queues", told.queues, () => replace(queues, queueTable(told.queues)));
    part("refused", [told.numbers, at.getMinutes()], () => replace(refused, refusals(told.numbers, at)));
    const lines = conditions(told, at);
    part("hangs", [lines, told.gateway], () => replace(hangs, conditionList(lines, told.gateway, at)));
  }

  const ended = [live.subscribe(show), session.subscribe(show)];
  const ticking = setInterval(show, 1000);
  return () => {
    clearInterval(ticking);
    for (const end of ended) end();
  };
}

function queueTable(queues) {
  if (!queues.length) return h("p", { class: "soft" }, "No destination has a queue.");
  const number = (value) => h("td", { class: "count" }, value ?? "–");
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Queue"), ["Free", "Busy", "Paused", "Waiting"].map((name) => h("th", { scope: "col", class: "count" }, name)))),
    h(
      "tbody",
      {},
      queues.map((each) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, each.queue, each.known ? null : h("span", { class: "what doubtful" }, ` not known: ${each.unknown_because}`)),
          number(each.available),
          number(each.busy),
          number(each.paused),
          number(each.callers),
        ),
      ),
    ),
  );
}

/** By number, where there are several. */
function refusals(numbers, at) {
  const found = numbers.filter((number) => number.refused.length);
  if (!found.length) return h("li", { class: "good" }, "Nothing: every destination would take a caller.");
  const named = numbers.length > 1;
  return found.flatMap((number) => [
    named ? h("li", { class: "soft" }, number.called ?? number.number) : null,
    ...number.refused.map((each) => h("li", {}, h("strong", {}, each.name), `: ${refusal(each, at)}`)),
  ]);
}

/** What all of it hangs on, a line each: [name, how it is, a word for that, why, its age]. */
function conditions(told, at) {
  const lasts = (begun) => (begun ? `for ${age(Math.max(2, since(begun, at)))}` : null);
  const heard = (proven) => {
    const ago = proven ? age(since(proven, at)) : null;
    return ago === null ? null : ago === "now" ? "heard now" : `heard ${ago} ago`;
  };
  return [
    ...told.trunks.map((each) => [`Trunk ${each.trunk}`, ...state(each), lasts(each.since)]),
    ...told.pbxs.map((each) => [
      `PBX ${each.pbx}`,
      ...state(each.source === "none" ? { up: null } : each),
      heard(each.proven_at),
    ]),
    ...(told.broker.configured ? [["Broker", ...state({ up: told.broker.connected, because: told.broker.because }), lasts(told.broker.since)]] : []),
  ];
}

function state({ up, because }) {
  if (up === null) return ["", "is not asked", null];
  return up ? ["good", "up", null] : ["bad", "down", because];
}

function conditionList(lines, gateway, at) {
  return [
    lines.map(([name, kind, word, because, age_]) =>
      h("li", {}, `${name} `, h("span", { class: `pill ${kind}` }, word), age_ ? h("span", { class: "soft" }, ` ${age_}`) : null, because ? ` ${because}` : null),
    ),
    gateway.missing.length ? h("li", { class: "bad" }, `No calls are taken: ${gateway.missing.join(", ")}`) : null,
    h("li", { class: "soft" }, `Version ${gateway.version}, up since ${clock(gateway.started_at, at)}`),
  ];
}
