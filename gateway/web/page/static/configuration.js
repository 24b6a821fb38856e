// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration: what is in force, and what `transfer-gateway check` says of the files as they are. Nothing is changed
// here, and no secret comes here: the gateway tells the keys of a list alone.

import { h, replace } from "./dom.js";
import { clock, many } from "./format.js";

export function view(root, _parameters, { api, title }) {
  const stopping = new AbortController();
  const check = h("section", { class: "panel", "aria-labelledby": "check", "aria-busy": "true" });
  const keys = h("section", { class: "panel", "aria-labelledby": "keys", "aria-busy": "true" });
  root.append(h("h1", {}, "Configuration"), check, keys);
  title("Configuration");

  async function part(element, path, draw) {
    try {
      replace(element, ...draw(await api(path, { signal: stopping.signal })));
    } catch (error) {
      if (error.name === "AbortError") return;
      replace(element, h("p", { class: "problem", role: "alert" }, error.message));
    }
    element.setAttribute("aria-busy", "false");
  }

  part(check, "api/configuration/check", drawnCheck);
  part(keys, "api/configuration", drawnKeys);
  return () => stopping.abort();
}

function drawnCheck(told) {
  const remarks = (found, words) => (found.length ? [h("h3", {}, many(found.length, words)), h("ul", {}, found.map((each) => h("li", {}, h("b", {}, `${each.file}: ${each.key}: `), each.problem)))] : null);
  const named = (found, words) => (found.length ? [h("h3", {}, words), h("ul", {}, found.map((each) => h("li", {}, each)))] : null);
  const mistakes = told.mistakes.length > 0;
  return [
    h("h2", { id: "check" }, "The files as they are now ", h("span", { class: `pill ${mistakes ? "bad" : told.warnings.length ? "doubtful" : "good"}` }, mistakes ? "a reload would refuse them" : "no mistakes")),
    remarks(told.mistakes, "mistake"),
    remarks(told.warnings, "warning"),
    named(told.changed, "Changed, and not in force: a reload brings"),
    named(told.restart_needed, "In force only after a restart"),
  ];
}

function tableOf(entry) {
  if (entry.file !== "gateway.toml") return entry.file;
  const entries = /^(?:numbers\[[^\]]*\]\.destinations\[[^\]]*\]|[a-z_]+\[[^\]]*\]|hours\.[^.]*|[a-z_]+)/.exec(entry.key);
  return entries ? entries[0] : entry.key;
}

function drawnKeys(told) {
  const tables = new Map();
  for (const entry of told.keys) {
    const name = tableOf(entry);
    if (!tables.has(name)) tables.set(name, []);
    tables.get(name).push(entry);
  }
  const groups = [...tables].map(([name, entries]) => group(name, entries));
  const search = h("input", { id: "search", type: "search", autocomplete: "off", placeholder: "such as sales or timeout" });
  search.addEventListener("input", () => groups.forEach((each) => each.filter(search.value.trim().toLowerCase())));
  return [
    h("h2", { id: "keys" }, `In force since ${clock(told.loaded_at)}`),
    h("div", { class: "filters" }, h("label", { for: "search" }, "Keys and values with", search)),
    groups.map((each) => each.element),
    told.left_out ? h("p", { class: "soft" }, `${many(told.left_out, "key")} more, which are too many to show`) : null,
  ];
}

function valueOf(entry) {
  if (entry.hidden) return h("span", { class: "soft" }, "set, and not shown");
  return Array.isArray(entry.value) ? entry.value.join(", ") : String(entry.value);
}

function group(name, entries) {
  const rows = entries.map((entry) => {
    const key = entry.key.startsWith(`${name}.`) ? entry.key.slice(name.length + 1) : entry.key;
    const element = h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, valueOf(entry)));
    return { element, words: `${name} ${key} ${entry.hidden ? "" : entry.value}`.toLowerCase() };
  });
  const element = h("details", { class: "keys" }, h("summary", {}, `${name} `, h("span", { class: "soft" }, many(entries.length, "key"))), h("table", {}, h("tbody", {}, rows.map((each) => each.element))));
  return {
    element,
    filter(words) {
      let any = false;
      for (const row of rows) {
        row.element.hidden = words !== "" && !row.words.includes(words);
        any ||= !row.element.hidden;
      }
      element.hidden = !any;
      element.open = words !== "" && any;
    },
  };
}
