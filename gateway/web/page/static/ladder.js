// SPDX-License-Identifier: GPL-2.0-or-later
// A ladder: the SIP messages of all legs of a call on one time axis, and what happened and was decided between them.
//
// It draws what /api/transfers/{id}/messages tells, which says of each message what it is and of each leg who is at its
// end: no SIP is read here. Each message is a button that opens it; a leg is a lane, with the gateway in between.

import { h, replace, s } from "./dom.js";

const GAP_S = 1;
/** Shown at once; the rest is there when it is asked for. A peer may send as many as it likes. */
const MOST_ROWS = 400;

/** Places of legs and of the gateway (`null`), from left to right: those of the assistant's side, and the PBX's. */
export function lanesOf(told) {
  const used = new Set([...told.messages.map((each) => each.leg), ...told.marks.flatMap((each) => each.legs)]);
  const places = [...used].filter((place) => told.legs[place] !== undefined).sort((one, other) => one - other);
  const isLeft = (place) => told.legs[place].side === "trunk";
  return [...places.filter(isLeft), null, ...places.filter((place) => !isLeft(place))];
}

/** Messages and marks in the order of time; a mark of the same moment stands behind its message. */
export function eventsOf(told) {
  const events = [...told.messages, ...told.marks];
  return events.map((event, place) => ({ event, place, at: micros(event.at) })).sort((one, other) => one.at - other.at || one.place - other.place);
}

/** Seconds since 1970 of a time that is told to the microsecond, which Date does not read. */
export function micros(at) {
  const [, whole, fraction = ""] = /^([^.]*?)(?:\.(\d+))?Z?$/.exec(at);
  return Date.parse(`${whole}Z`) / 1000 + Number(`0.${fraction || 0}`);
}

function signed(seconds) {
  return `${seconds <= -0.0005 ? "−" : "+"}${Math.abs(seconds).toFixed(3)} s`;
}

/** The middle of a lane, in percent of the width. */
function middle(lanes, place) {
  return ((lanes.indexOf(place) + 0.5) / lanes.length) * 100;
}

function nameOf(told, place) {
  return place === null ? "the gateway" : `${told.legs[place].name} ${told.legs[place].part}`;
}

function drawn(lanes, ...shapes) {
  const lines = lanes.map((place) => s("line", { class: place === null ? "lane own" : "lane", x1: `${middle(lanes, place)}%`, x2: `${middle(lanes, place)}%`, y1: "0", y2: "100%" }));
  return s("svg", { class: "lanes", "aria-hidden": "true", focusable: "false" }, lines, shapes);
}

function arrow(lanes, from, to, kind) {
  const [one, other] = [middle(lanes, from), middle(lanes, to)];
  const head = other > one ? "→" : "←";
  return [
    s("line", { class: `arrow ${kind}`, x1: `${one}%`, x2: `${other}%`, y1: "1.35em", y2: "1.35em" }),
    s("text", { class: `head ${kind}`, x: `${other}%`, y: "1.35em", "text-anchor": other > one ? "end" : "start", "dominant-baseline": "central" }, head === "→" ? "▶" : "◀"),
  ];
}

/** Where the words of a row stand: between two lanes, or from one on. */
function between(element, lanes, one, other) {
  const [low, high] = [middle(lanes, one), middle(lanes, other)].sort((a, b) => a - b);
  element.style.setProperty("--from", `${low}%`);
  element.style.setProperty("--width", `${high - low}%`);
  return element;
}

/** By which a message is known when the ladder is drawn anew. */
function keyOf(message) {
  return `${message.leg} ${message.at} ${message.sent}`;
}

function messageRow(told, lanes, message, when, number, open) {
  const [from, to] = message.sent ? [null, message.leg] : [message.leg, null];
  const key = keyOf(message);
  const kind = /^[1-6]\d\d /.test(message.words) ? "answer" : "request";
  const id = `message-${number}`;
  const body = h("div", { id, class: "opened", hidden: !open.has(key) });
  const button = h(
    "button",
    { type: "button", "aria-expanded": String(open.has(key)), "aria-controls": id, class: "step", "data-key": key },
    h("span", { class: "when" }, when),
    h(
      "span",
      { class: "drawing" },
      drawn(lanes, arrow(lanes, from, to, message.again ? `${kind} again` : kind)),
      between(h("span", { class: "words" }, message.words), lanes, from, to),
      h("span", { class: "unseen" }, `, from ${nameOf(told, from)} to ${nameOf(told, to)}`),
    ),
  );
  if (open.has(key)) replace(body, opened(message));
  button.addEventListener("click", () => {
    const opens = !open.has(key);
    if (opens) open.add(key);
    else open.delete(key);
    button.setAttribute("aria-expanded", String(opens));
    if (opens) replace(body, opened(message));
    body.hidden = !opens;
  });
  return h("li", { class: "message", "data-at": message.at, "data-leg": message.leg, "data-sent": String(message.sent) }, button, body);
}

function opened(message) {
  const more = [message.again ? "a retransmission" : null, message.cut ? "cut: the message is longer than what is kept" : null];
  const line = [message.at, message.transport, `${message.source} → ${message.destination}`, `${message.size} bytes`, ...more.filter(Boolean)];
  return [h("p", { class: "soft" }, line.join(" · ")), h("pre", { tabindex: "0", "aria-label": `The message ${message.words}` }, message.text.replaceAll("\r\n", "\n"))];
}

const MARKS = { requested: "asked for", gate: "gate", attempt: "attempt", ringing: "rings", answered: "answered", human: "person", returned: "returned", ended: "ended", pbx: "PBX", audio: "audio" };

function markRow(told, lanes, mark, when) {
  const about = mark.legs.filter((place) => lanes.includes(place));
  const shapes = about.length > 1 ? [s("line", { class: "band", x1: `${middle(lanes, about[0])}%`, x2: `${middle(lanes, about[1])}%`, y1: "0.6em", y2: "0.6em" })] : [];
  for (const place of about.length ? about : [null]) {
    shapes.push(s("circle", { class: `dot ${mark.what}`, cx: `${middle(lanes, place)}%`, cy: "0.6em", r: "5" }));
  }
  return h(
    "li",
    { class: `mark ${MARKS[mark.what] ? mark.what : ""}`, "data-what": mark.what, "data-at": mark.at },
    h("span", { class: "when" }, when),
    h("span", { class: "drawing" }, drawn(lanes, shapes)),
    h("span", { class: "said" }, h("b", {}, `${MARKS[mark.what] ?? mark.what}: `), mark.text),
  );
}

function head(told, lanes) {
  const names = lanes.map((place) =>
    h("span", { class: place === null ? "lane own" : "lane" }, h("b", {}, place === null ? "gateway" : told.legs[place].name), place === null ? "" : ` ${told.legs[place].part}`),
  );
  return h("p", { class: "ladder-head", "aria-hidden": "true" }, h("span", { class: "when" }), h("span", { class: "names" }, names));
}

function gaps(told) {
  const lines = [];
  for (const leg of told.legs) {
    if (leg.late) lines.push(`The first messages of ${leg.name} ${leg.part} had to make room for other calls.`);
    if (leg.left_out) lines.push(`${leg.left_out} messages of ${leg.name} ${leg.part} are left out: there were too many.`);
  }
  return lines.map((line) => h("p", { class: "soft" }, line));
}

/**
 * The ladder: an element. Times count from `since`, seconds since 1970; `open` has the keys of the messages that are
 * open, and is kept up to date; `all`: however many rows there are; `more` is called where somebody wants all.
 */
export function ladder(told, since, { open = new Set(), all = false, more = null } = {}) {
  const lanes = lanesOf(told);
  const events = eventsOf(told);
  const shown = all ? events : events.slice(0, MOST_ROWS);
  const rows = [];
  let before = null;
  for (const { event, at } of shown) {
    if (before !== null && at - before >= GAP_S) rows.push(h("li", { class: "gap", "aria-hidden": "true" }, h("span", { class: "when" }, `${(at - before).toFixed(1)} s`), h("span", { class: "drawing" }, drawn(lanes))));
    before = at;
    const when = signed(at - since);
    rows.push("what" in event ? markRow(told, lanes, event, when) : messageRow(told, lanes, event, when, rows.length, open));
  }
  const left = events.length - shown.length;
  return h(
    "div",
    { class: "ladder" },
    head(told, lanes),
    h("ol", { class: "rows" }, rows),
    left > 0 ? h("p", {}, h("button", { type: "button", onclick: more }, `Show ${left} more`)) : null,
    gaps(told),
  );
}
