// SPDX-License-Identifier: GPL-2.0-or-later
// Try it: where a transfer would go, now or at another time, and why. Nothing is called: the gate is asked, as by
// `transfer-gateway explain`. The question stands in the address: #/try?number=main-line&target=sales&at=2026-12-24T18:00

import { query } from "./api.js";
import { h, replace } from "./dom.js";

/** Times that people ask about, by the clock of the destination's hours. */
const MOMENTS = [
  ["now", () => ""],
  ["tonight at eight", (now) => local(now, { hour: 20 })],
  ["Saturday at noon", (now) => local(now, { days: ((6 - now.getDay() + 7) % 7) || 7, hour: 12 })],
  ["Christmas Eve at six", (now) => feast(now, 12, 24, 18)],
  ["Christmas Day at ten", (now) => feast(now, 12, 25, 10)],
  ["New Year's Day at ten", (now) => feast(now, 1, 1, 10)],
];

function two(number) {
  return String(number).padStart(2, "0");
}

function written(date, hour) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(hour)}:00`;
}

function local(now, { days = 0, hour }) {
  return written(new Date(now.getFullYear(), now.getMonth(), now.getDate() + days), hour);
}

/** The next time that this day comes. */
export function feast(now, month, day, hour) {
  const this_year = new Date(now.getFullYear(), month - 1, day, hour);
  return written(this_year > now ? this_year : new Date(now.getFullYear() + 1, month - 1, day), hour);
}

export function view(root, { query: given }, { api, go, say, title }) {
  const stopping = new AbortController();
  const asked = { number: given.get("number") ?? "", target: given.get("target") ?? "", at: given.get("at") ?? "" };
  const form = h("section", { class: "panel", "aria-labelledby": "question" });
  const answer = h("section", { class: "panel", "aria-labelledby": "answer", hidden: true });
  root.append(h("h1", {}, "Try it"), h("p", { class: "soft" }, "Where would a transfer go? The gate is asked, as a REFER would be; nobody is called."), form, answer);
  title("Try it");

  function failed(error) {
    if (error.name !== "AbortError") root.append(h("p", { class: "problem", role: "alert" }, error.message));
  }

  api("api/configuration", { signal: stopping.signal })
    .then(({ numbers }) => fill(form, numbers, asked, go))
    .catch(failed);
  if (asked.number && asked.target) {
    api(`api/explain?${query(asked)}`, { signal: stopping.signal })
      .then((told) => {
        answer.hidden = false;
        replace(answer, ...drawn(told, asked));
        say(`${told.decision}: ${told.reason}`);
      })
      .catch(failed);
  }
  return () => stopping.abort();
}

function fill(form, numbers, asked, go) {
  const targets = numbers.flatMap((number) => number.destinations.flatMap((each) => [each.id, each.number, ...each.aliases])).filter(Boolean);
  const number = h("select", { id: "try-number", name: "number", required: true }, numbers.map((each) => h("option", { value: each.id, selected: each.id === asked.number }, `${each.id} (${each.number})`)));
  const target = h("input", { id: "try-target", name: "target", value: asked.target, required: true, maxlength: 512, list: "try-targets", autocomplete: "off", placeholder: "a destination, number or SIP URI" });
  const at = h("input", { id: "try-at", name: "at", type: "datetime-local", value: asked.at.slice(0, 16) });
  const fields = h(
    "form",
    { class: "filters", "aria-labelledby": "question" },
    h("label", { for: "try-number" }, "on the number", number),
    h("label", { for: "try-target" }, "to", target),
    h("label", { for: "try-at" }, "at, by the clock of the hours", at),
    h("div", { class: "act" }, h("button", { class: "main", type: "submit" }, "Explain")),
    h("datalist", { id: "try-targets" }, [...new Set(targets)].map((each) => h("option", { value: each }))),
  );
  const ask = () => go(`#/try?${query({ number: number.value, target: target.value.trim(), at: at.value })}`);
  fields.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  const moments = MOMENTS.map(([words, moment]) =>
    h(
      "button",
      {
        type: "button",
        onclick: () => {
          at.value = moment(new Date());
          if (target.value.trim()) ask();
          else target.focus();
        },
      },
      words,
    ),
  );
  replace(form, h("h2", { id: "question" }, "Question"), fields, h("p", { class: "moments", role: "group", "aria-label": "A time" }, moments));
}

function drawn(told, asked) {
  const accepted = told.decision === "accept";
  const when = asked.at ? `at ${asked.at.replace("T", " ")}` : "now";
  return [
    h("h2", { id: "answer" }, "Answer"),
    h("p", { class: "answer-line" }, h("span", { class: `pill ${accepted ? "good" : "bad"}` }, accepted ? "accepted" : "refused"), ` ${asked.target}, ${when}`),
    h(
      "dl",
      { class: "pairs" },
      [
        ["destination", told.destination ?? "–"],
        ["extension", told.extension ?? "–"],
        ["reason", `${told.reason} (${told.sip_code})`],
        told.sentence ? ["for the caller", `“${told.sentence}”`] : null,
      ]
        .filter(Boolean)
        .flatMap(([term, words]) => [h("dt", {}, term), h("dd", {}, words)]),
    ),
    h("h3", {}, "What was checked"),
    h("ol", { class: "trail" }, told.trail.map((line) => h("li", {}, line))),
  ];
}
