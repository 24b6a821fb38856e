// SPDX-License-Identifier: GPL-2.0-or-later
// A call as a line: four stations, how far its caller has come, and what may be done about it.

import { api, part } from "./api.js";
import { h, replace, write } from "./dom.js";
import { duration, since } from "./format.js";
import { confirm } from "./session.js";
import { where } from "./words.js";

const PLACES = ["caller", "assistant", "queue", "person"];
const HEADS = ["Caller", "Assistant", "Queue or destination", "Person"];
const CAN_BE_CALLED_OFF = ["dialling", "ringing"];

/** What stands above the lines. A screen reader hears each line as a whole instead. */
export function head() {
  return h("div", { class: "call head", "aria-hidden": "true" }, HEADS.map((name) => h("div", {}, name)), h("div", { class: "lasts" }, ""));
}

/** A line of the list, for `Keyed`; what it shows has the time as `now` besides. */
export function callLine(first, session, say) {
  const places = PLACES.map((name) => {
    const words = h("span", {});
    const what = h("span", { class: "what" });
    return { name, words, what, element: h("div", { class: "place" }, words, what) };
  });
  const lasts = h("span", { class: "number" });
  const link = h("span", {});
  const buttons = h("span", {});
  const element = h("li", { class: "call" }, places.map((each) => each.element), h("div", { class: "lasts" }, lasts, link, buttons));
  let offered = "";
  let linked = null;

  function offer(call) {
    const acts = session.may("transfer", call.number) ? [CAN_BE_CALLED_OFF.includes(call.transfer_state) ? "cancel" : "", "hangup"].filter(Boolean) : [];
    if (acts.join() === offered) return;
    offered = acts.join();
    replace(buttons, acts.map((act) => button(act, call, say)));
  }

  return {
    element,
    update(call) {
      const found = where(call, call.now);
      for (const [index, each] of places.entries()) {
        const kinds = ["place", index < found.reached && "reached", index === found.reached && "here", found.asked && "asked"];
        const kind = kinds.filter(Boolean).join(" ");
        if (each.element.className !== kind) each.element.className = kind;
        if (index === found.reached) each.element.setAttribute("aria-current", "step");
        else each.element.removeAttribute("aria-current");
        write(each.words, found.places[each.name].words);
        write(each.what, found.places[each.name].what);
      }
      const text = duration(since(call.started_at, call.now));
      write(lasts, text);
      if (call.transfer !== linked) {
        linked = call.transfer;
        const name = `Transfer of ${call.caller ?? "a caller"}`;
        replace(link, linked ? h("a", { href: `#/transfers/${part(linked)}`, "aria-label": name }, "Transfer") : null);
      }
      offer(call);
    },
  };
}

function button(act, call, say) {
  const who = call.caller ?? "a caller";
  const [words, question, path, done] =
    act === "cancel"
      ? ["Call off", `Call off the transfer of ${who}?`, `api/calls/${part(call.call)}/cancel`, "The transfer is called off."]
      : ["End call", `End the call of ${who}?`, `api/calls/${part(call.call)}/hangup`, "The call is ended."];
  const act_ = async () => {
    await api(path, { body: {} });
    say(done);
  };
  return h("button", { type: "button", "aria-label": `${words}: ${who}`, onclick: () => confirm(question, words, act_) }, words);
}
