// SPDX-License-Identifier: GPL-2.0-or-later
// Who has signed in, by a token that is shown once: the page itself keeps nothing of it.

import { api } from "./api.js";
import { h } from "./dom.js";

const NOBODY = { author: null, may: [], numbers: null };

/**
 * `session.may("transfer", number)` says whether whoever looks is allowed that for a number (its id; null: for any);
 * `session.subscribe(told)` calls `told(session)` at once and whenever that changes, and returns what ends it.
 */
export class Session {
  constructor() {
    this.is = NOBODY;
    this.told = new Set();
  }

  subscribe(told) {
    this.told.add(told);
    told(this);
    return () => this.told.delete(told);
  }

  may(permission, number = null) {
    return this.is.may.includes(permission) && (number === null || this.is.numbers === null || this.is.numbers.includes(number));
  }

  async look() {
    this.take(await api("api/session").catch(() => NOBODY));
  }

  async begin(token) {
    this.take(await api("api/session", { body: { token } }));
  }

  async end() {
    this.take(await api("api/session", { method: "DELETE" }));
  }

  take(is) {
    if (JSON.stringify(is) === JSON.stringify(this.is)) return;
    this.is = is;
    for (const told of this.told) told(this);
  }
}

/** Asks for a token and begins a session; nothing happens where that is called off. */
export function signIn(session) {
  const field = h("input", { id: "token", type: "password", autocomplete: "off", required: true, maxlength: "4096" });
  const wrong = h("p", { class: "problem", role: "alert", hidden: true });
  const form = h(
    "form",
    {},
    h("h2", { id: "asked" }, "Sign in"),
    h("p", {}, "Looking needs no token. One that may transfer can call off transfers and end calls."),
    wrong,
    h("label", { for: "token" }, "Token"),
    field,
    h("p", { class: "buttons" }, h("button", { class: "main" }, "Sign in"), h("button", { type: "button", onclick: () => close() }, "Back")),
  );
  const close = opened(form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await session.begin(field.value.trim());
      close();
    } catch (error) {
      wrong.textContent = error.status === 401 ? "This is none of the tokens that are configured." : error.message;
      wrong.hidden = false;
      field.select();
    }
  });
}

/** Asks whether something is really wanted; `act` is what is done then. What fails in it is shown. */
export function confirm(question, yes, act) {
  const wrong = h("p", { class: "problem", role: "alert", hidden: true });
  const form = h(
    "form",
    {},
    h("h2", { id: "asked" }, question),
    wrong,
    h("p", { class: "buttons" }, h("button", { class: "main" }, yes), h("button", { type: "button", onclick: () => close() }, "No")),
  );
  const close = opened(form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await act();
      close();
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
  });
}

/** Shows a form above all else; what closes it, and gives the focus back. */
function opened(form) {
  const dialog = h("dialog", { "aria-labelledby": "asked" }, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return () => dialog.close();
}
