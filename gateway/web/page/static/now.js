// SPDX-License-Identifier: GPL-2.0-or-later
// Now: the calls under way, the queues, what would be refused, and what all of it hangs on.

import { h, Keyed, replace, write } from "./dom.js";
import { age, clock, duration, many, since } from "./format.js";
import { refusal, where } from "./words.js";

const PLACES = ["caller", "assistant", "queue", "person"];

export function view(root, _parameters, { live }) {
  const empty = h("p", { class: "soft" }, "asking the gateway");
  const list = h("ul", { class: "plain", "aria-label": "Calls under way" });
  const count = h("h1", {}, "Now");
  const problems = h("div", { role: "alert" });
  const queues = h("div", { class: "wide" });
  const refused = h("ul", { class: "plain" });
  const hangs = h("ul", { class: "plain" });
  const calls = new Keyed(list, (call) => call.call, callLine);
  const drawn = new Map();
  root.append(
    count,
    problems,
    h("section", { class: "panel", "aria-labelledby": "calls" }, h("h2", { id: "calls" }, "Calls"), empty, list),
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
    write(empty, told.calls.length ? `and ${many(more, "call")} more, of which nobody is being transferred longer` : "Nobody is calling.");
    calls.show(sorted(told.calls).map((call) => ({ ...call, now: at })));
    part("queues", told.queues, () => replace(queues, queueTable(told.queues)));
    part("refused", [told.numbers, at.getMinutes()], () => replace(refused, refusals(told.numbers, at)));
    replaceTexts(hangs, told, at);
  }

  const ended = live.subscribe(show);
  const ticking = setInterval(show, 1000);
  return () => {
    clearInterval(ticking);
    ended();
  };
}

/** Who is being moved first, then the newest. */
function sorted(calls) {
  const rank = (call) => (call.transfer_state ? 0 : 1);
  return [...calls].sort((a, b) => rank(a) - rank(b) || (a.call < b.call ? 1 : -1));
}

/** A line of the list: four places, and how long the call lasts. */
function callLine() {
  const places = PLACES.map((name) => {
    const what = h("span", { class: "what" });
    const words = h("span", {});
    return { name, words, what, element: h("div", { class: "place" }, words, what) };
  });
  const lasts = h("div", { class: "lasts" });
  const element = h("li", { class: "call" }, places.map((each) => each.element), lasts);
  return {
    element,
    update(call) {
      const found = where(call, call.now);
      for (const [index, each] of places.entries()) {
        const says = found.places[each.name];
        each.element.className = `place${index <= found.reached ? " reached" : ""}${index === found.reached ? " here" : ""}${
          index === found.reached && found.asked ? " asked" : ""
        }`;
        if (index === found.reached) each.element.setAttribute("aria-current", "step");
        else each.element.removeAttribute("aria-current");
        write(each.words, says.words);
        write(each.what, says.what);
      }
      if (call.transfer && !lasts.firstElementChild) lasts.append(h("a", { href: `#/transfers/${encodeURIComponent(call.transfer)}` }));
      write(lasts.firstElementChild ?? lasts, duration(since(call.started_at, call.now)));
    },
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

function refusals(numbers, at) {
  const found = numbers.flatMap((number) =>
    number.refused.map((each) =>
      h("li", {}, h("strong", {}, each.name), `: ${refusal(each, at)} `, h("span", { class: "soft" }, `(${number.called ?? number.number})`)),
    ),
  );
  return found.length ? found : h("li", { class: "good" }, "Nothing: every destination would take a caller.");
}

function replaceTexts(list, told, at) {
  const lines = [
    ...told.trunks.map((each) => [`Trunk ${each.trunk}`, each.up, each.because, null]),
    ...told.pbxs.map((each) => [`PBX ${each.pbx}`, each.up, each.because ?? each.unknown_because, each.proven_at]),
    ...(told.broker.configured ? [["Broker", told.broker.connected, told.broker.because, null]] : []),
  ];
  replace(
    list,
    lines.map(([name, up, because, proven]) =>
      h(
        "li",
        {},
        `${name} `,
        h("span", { class: `pill ${up ? "good" : "bad"}` }, up ? "up" : "down"),
        up || !because ? null : ` ${because}`,
        proven ? h("span", { class: "soft" }, ` heard ${age(since(proven, at)) === "now" ? "now" : `${age(since(proven, at))} ago`}`) : null,
      ),
    ),
    h("li", { class: "soft" }, `Version ${told.gateway.version}, up since ${clock(told.gateway.started_at, at)}`),
  );
}
