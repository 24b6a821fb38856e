// SPDX-License-Identifier: GPL-2.0-or-later
// A transfer: what became of it and why, and the ladder of its SIP messages.

import { h, replace } from "./dom.js";
import { caller, clock } from "./format.js";
import { ladder, micros } from "./ladder.js";

const AGAIN_MS = 2000;
const STEPS = [
  ["requested_at", "asked for"],
  ["decided_at", "decided"],
  ["ringing_at", "rang"],
  ["answered_at", "answered by the PBX"],
  ["human_at", "answered by a person"],
  ["ended_at", "over"],
];

export function view(root, { id }, { api, title, say }) {
  const heading = h("h1", {}, "Transfer");
  const problem = h("div", { role: "alert" });
  const summary = h("div", { class: "columns" });
  const steps = h("section", { class: "panel", "aria-labelledby": "ladder" });
  const stopping = new AbortController();
  const open = new Set();
  let timer = null;
  let all = false;
  let drawn = "";
  root.append(heading, problem, summary, steps);

  async function look() {
    clearTimeout(timer);
    const at = `api/transfers/${encodeURIComponent(id)}`;
    try {
      const [told, messages] = await Promise.all([api(at, { signal: stopping.signal }), api(`${at}/messages`, { signal: stopping.signal })]);
      replace(problem);
      show(told, messages, at);
      if (told.outcome === null && !stopping.signal.aborted) timer = setTimeout(look, AGAIN_MS);
    } catch (error) {
      if (error.name === "AbortError") return;
      replace(problem, h("p", { class: "problem" }, error.message));
      if (error.status === 0) timer = setTimeout(look, 3 * AGAIN_MS);
    }
  }

  function show(told, messages, at) {
    const said = JSON.stringify([told, messages.messages.length, messages.marks.length, all]);
    if (said === drawn) return;
    drawn = said;
    const name = `${told.destination ?? told.requested_target}: ${told.outcome ?? "under way"}`;
    replace(heading, name, " ", h("span", { class: `pill ${standing(told)}` }, told.reason ?? "under way"));
    title(name);
    say(name);
    replace(summary, about(told, messages.masked), checked(told), told.attempts.length ? tried(told) : null);
    const focused = steps.contains(document.activeElement) ? document.activeElement.getAttribute("data-key") : null;
    replace(steps, h("h2", { id: "ladder" }, "What went to and fro"), drawing(told, messages, at));
    if (focused !== null) [...steps.querySelectorAll("button")].find((each) => each.getAttribute("data-key") === focused)?.focus();
  }

  function drawing(told, messages, at) {
    if (!messages.kept && !messages.marks.length) return h("p", { class: "soft" }, `The SIP messages are not there: ${messages.because}.`);
    const more = () => {
      all = true;
      look();
    };
    return [
      messages.kept ? downloads(at, messages) : h("p", { class: "soft" }, `The SIP messages are not there: ${messages.because}.`),
      ladder(messages, micros(told.requested_at), { open, all, more }),
    ];
  }

  look();
  return () => {
    stopping.abort();
    clearTimeout(timer);
  };
}

function downloads(at, messages) {
  const link = (ending, words) => h("a", { href: `${at}/messages${ending}`, download: "" }, words);
  return h(
    "p",
    { class: "soft" },
    "A message opens where it is pressed. All of them: ",
    link(".pcap", "for Wireshark (pcap)"),
    ", ",
    link(".txt", "as text"),
    messages.masked ? ". Phone numbers are masked." : ".",
  );
}

function standing(told) {
  if (told.outcome === null) return "";
  if (told.outcome === "completed") return "good";
  return told.outcome === "failed" || told.outcome === "interrupted" ? "bad" : "doubtful";
}

function about(told, masked) {
  const asked = told.entry === "command" ? `command of ${told.author}` : `a ${told.entry.toUpperCase()}`;
  const rows = [
    ["asked for", `${told.requested_target}, by ${asked}`],
    ["on", told.number ?? "no number of ours"],
    ["caller", caller(told.caller, masked)],
    ["answer", told.sip_code === null ? "none yet" : `${told.sip_code}, ${told.reason}`],
    told.answered_by ? ["answered by", told.agent ? `${told.answered_by}, ${told.agent}` : told.answered_by] : null,
    told.sentence ? ["for the caller", `“${told.sentence}”`] : null,
    told.returned_to_transferor ? ["then", "the caller went back to the assistant"] : null,
    told.fault ? ["fault", told.fault] : null,
  ].filter(Boolean);
  const begun = micros(told.requested_at);
  const times = STEPS.filter(([field]) => told[field]).map(([field, words]) =>
    h("li", {}, h("time", { class: "number", datetime: told[field] }, `+${(micros(told[field]) - begun).toFixed(3)} s`), ` ${words}`),
  );
  return h(
    "section",
    { class: "panel", "aria-labelledby": "about" },
    h("h2", { id: "about" }, clock(told.requested_at)),
    h("dl", { class: "pairs" }, rows.flatMap(([term, words]) => [h("dt", {}, term), h("dd", {}, words)])),
    h("ul", { class: "plain times" }, times),
  );
}

function checked(told) {
  return h(
    "section",
    { class: "panel", "aria-labelledby": "checked" },
    h("h2", { id: "checked" }, "What was checked"),
    h("ol", { class: "trail" }, told.trail.map((line) => h("li", {}, line))),
  );
}

function tried(told) {
  const rows = told.attempts.map((each) =>
    h(
      "tr",
      {},
      h("td", {}, each.destination),
      h("td", {}, each.extension || "passed over"),
      h("td", {}, `${each.reason ?? "under way"}${each.sip_code ? ` (${each.sip_code})` : ""}`),
    ),
  );
  return h(
    "section",
    { class: "panel", "aria-labelledby": "tried" },
    h("h2", { id: "tried" }, "Who was tried"),
    h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Attempts" }, h("table", {}, h("thead", {}, h("tr", {}, ["destination", "extension", "what came of it"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows))),
  );
}
