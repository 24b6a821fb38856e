// SPDX-License-Identifier: GPL-2.0-or-later
// History: the transfers of a span, how far they came and how soon a person was there. What is asked for stands in the
// address, so that a link leads here: #/history?since=2026-11-01&destination=sales&outcome=refused

import { query } from "./api.js";
import { h, replace } from "./dom.js";
import { caller, clock, many } from "./format.js";

const PAGE = 50;
const OUTCOMES = ["completed", "refused", "failed", "abandoned", "interrupted"];
const FILTERS = ["since", "until", "number", "destination", "outcome", "reason", "caller", "text"];
const OF_FIGURES = ["since", "until", "number", "destination"];
const STEPS = [
  ["asked", "asked for"],
  ["accepted", "accepted"],
  ["rang", "rang"],
  ["answered", "answered by the PBX"],
  ["reached", "a person was there"],
];

export function view(root, { query: given }, { api, go, say, title }) {
  const asked = Object.fromEntries(FILTERS.map((name) => [name, given.get(name) ?? ""]));
  const stopping = new AbortController();
  const form = h("section", { class: "panel", "aria-labelledby": "asked" });
  const figures = h("section", { class: "panel", "aria-labelledby": "figures", "aria-busy": "true" });
  const list = h("section", { class: "panel", "aria-labelledby": "list", "aria-busy": "true" });
  root.append(h("h1", {}, "History"), form, figures, list);
  title("History");
  fill(form, asked, [], go);

  async function part(element, path, show) {
    try {
      show(await api(path, { signal: stopping.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      element.append(h("p", { class: "problem", role: "alert" }, error.message));
    }
    element.setAttribute("aria-busy", "false");
  }

  let masked = true;
  const settings = part(form, "api/configuration", (configuration) => {
    masked = configuration.keys.some((each) => each.key === "history.callers" && each.value !== "full");
    fill(form, asked, configuration.numbers, go);
  });
  part(figures, `api/figures?${query(only(asked, OF_FIGURES))}`, (told) => replace(figures, ...drawnFigures(told, asked)));
  const rows = h("tbody", {});
  const more = h("p", {});
  replace(list, h("h2", { id: "list" }, "Transfers"), table(rows), more);
  let count = 0;

  function page(cursor) {
    // An empty cursor asks for the first page of all that is over, not just of what is remembered.
    const question = new URLSearchParams({ ...only(asked, FILTERS), limit: PAGE, cursor });
    return part(list, `api/transfers?${question}`, (told) => {
      rows.append(...told.transfers.map((each) => row(each, masked)));
      count += told.transfers.length;
      say(`${many(count, "transfer")} shown`);
      replace(more, count === 0 ? "There are none." : null, told.next === null ? null : h("button", { type: "button", onclick: () => older(told.next) }, "Show older ones"));
    });
  }

  async function older(cursor) {
    const last = rows.lastElementChild;
    replace(more);
    await page(cursor);
    last?.nextElementSibling?.querySelector("a")?.focus();
  }

  settings.then(() => page(""));
  return () => stopping.abort();
}

function only(asked, names) {
  return Object.fromEntries(names.filter((name) => asked[name] !== "").map((name) => [name, asked[name]]));
}

function fill(form, asked, numbers, go) {
  if (form.contains(document.activeElement)) return; // somebody is writing already
  const destinations = [...new Set(numbers.flatMap((number) => number.destinations.map((each) => each.id)))];
  const field = (name, words, control) => h("label", { for: `asked-${name}` }, words, control);
  const text = (name, words, more = {}) => field(name, words, h("input", { id: `asked-${name}`, name, value: asked[name], maxlength: 200, autocomplete: "off", ...more }));
  const choice = (name, words, options) =>
    field(
      name,
      words,
      h("select", { id: `asked-${name}`, name }, h("option", { value: "" }, "any"), [...new Set([...options, asked[name]])].filter((each) => each !== "").map((each) => h("option", { value: each, selected: each === asked[name] }, each))),
    );
  const fields = h(
    "form",
    { class: "filters", "aria-labelledby": "asked" },
    text("since", "since", { placeholder: "2026-11-01 or …T09:00Z" }),
    text("until", "until", { placeholder: "now" }),
    choice("number", "number", numbers.map((each) => each.id)),
    choice("destination", "destination", destinations),
    choice("outcome", "outcome", OUTCOMES),
    text("reason", "reason", { placeholder: "such as queue-unstaffed" }),
    text("caller", "caller", { type: "tel", placeholder: "as it is dialled" }),
    text("text", "words of the trail"),
    h("div", { class: "act" }, h("button", { class: "main", type: "submit" }, "Show"), h("button", { type: "button", onclick: () => go("#/history") }, "All")),
  );
  fields.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = Object.fromEntries([...new FormData(fields)].map(([name, value]) => [name, value.trim()]));
    go(`#/history?${query(wanted)}`);
  });
  replace(form, h("h2", { id: "asked" }, "Which"), fields);
}

function drawnFigures(told, asked) {
  const span = asked.since || asked.until ? `${clock(told.since)} to ${clock(told.until)}` : "the last seven days";
  const others = ["outcome", "reason", "caller", "text"].filter((name) => asked[name] !== "");
  const heading = h("h2", { id: "figures" }, `How far they came: ${span}`);
  if (told.total.asked === 0) return [heading, h("p", { class: "soft" }, "Nobody was transferred in that time.")];
  return [
    heading,
    others.length ? h("p", { class: "soft" }, `These figures are of all transfers of that time, whatever ${others.join(", ")} they have.`) : null,
    funnel(told.total),
    h(
      "div",
      { class: "groups" },
      grouped("by destination", "destination", told.destinations, (each) => {
        const name = `${each.destination ?? "none of ours"}${each.number ? `, ${each.number}` : ""}`;
        return each.destination === null ? name : narrower(asked, { number: each.number ?? "", destination: each.destination }, name);
      }),
      grouped("by day", "day", told.days, (each) => narrower(asked, { since: each.day, until: dayAfter(each.day) }, each.day)),
      reasons(told.reasons),
    ),
  ];
}

/** A link to what is asked for, but for these filters. */
function narrower(asked, filters, words) {
  return h("a", { href: `#/history?${query({ ...asked, ...filters })}` }, words);
}

function dayAfter(day) {
  const next = new Date(`${day}T00:00:00Z`);
  next.setUTCDate(next.getUTCDate() + 1);
  return next.toISOString().slice(0, 10);
}

function percent(part, whole) {
  return whole ? `${Math.round((100 * part) / whole)}\u00a0%` : "";
}

/** Bars, each with its count: the widest is what was asked for. */
export function funnel(total) {
  return h(
    "dl",
    { class: "funnel" },
    STEPS.map(([step, words]) => {
      const bar = h("span", {});
      bar.style.setProperty("--part", `${total.asked ? (100 * total[step]) / total.asked : 0}%`);
      const count = h("dd", { class: "number" }, `${total[step]} `, h("span", { class: "soft" }, percent(total[step], total.asked)));
      return h("div", { "data-step": step }, h("dt", {}, words), h("dd", { class: "bar", "aria-hidden": "true" }, bar), count);
    }),
    h(
      "div",
      { "data-step": "until" },
      h("dt", {}, "until then"),
      h("dd", { class: "soft" }, "median, and what 95 of 100 did not exceed"),
      h("dd", { class: "number" }, `${seconds(total.median_s)}, ${seconds(total.p95_s)}`),
    ),
  );
}

function seconds(value) {
  return value === null ? "–" : `${value.toFixed(1)}\u00a0s`;
}

function grouped(words, id, groups, name) {
  const head = ["", "asked", "accepted", "person", "median", "95 %"];
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "group", "aria-label": `Figures ${words}` },
    h(
      "table",
      { "data-figures": id },
      h("caption", {}, words),
      h("thead", {}, h("tr", {}, head.map((each, place) => (place ? h("th", { scope: "col", class: "count" }, each) : h("td", {}))))),
      h(
        "tbody",
        {},
        groups.map((each) =>
          h("tr", {}, h("th", { scope: "row" }, name(each)), [each.asked, each.accepted, `${each.reached} (${percent(each.reached, each.asked)})`, seconds(each.median_s), seconds(each.p95_s)].map((cell) => h("td", { class: "count" }, cell))),
        ),
      ),
    ),
  );
}

function reasons(counted) {
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "group", "aria-label": "Outcomes and reasons" },
    h(
      "table",
      { "data-figures": "reason" },
      h("caption", {}, "outcomes and reasons"),
      h("tbody", {}, counted.map((each) => h("tr", {}, h("th", { scope: "row" }, `${each.outcome}, ${each.reason}`), h("td", { class: "count" }, each.count)))),
    ),
  );
}

function table(rows) {
  const head = ["when", "asked for", "caller", "outcome", "reason", "person after"];
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "group", "aria-label": "Table of transfers" },
    h("table", { "data-list": "transfers" }, h("thead", {}, h("tr", {}, head.map((each) => h("th", { scope: "col" }, each)))), rows),
  );
}

function row(told, masked) {
  const person = told.human_at ? `${((Date.parse(told.human_at) - Date.parse(told.requested_at)) / 1000).toFixed(1)} s` : "";
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("a", { href: `#/transfers/${encodeURIComponent(told.transfer)}` }, clock(told.requested_at))),
    h("td", {}, told.destination ?? told.requested_target),
    h("td", {}, caller(told.caller, masked)),
    h("td", { class: told.outcome === "completed" ? "good" : "" }, told.outcome ?? "under way"),
    h("td", {}, told.reason ?? ""),
    h("td", { class: "number" }, person),
  );
}
