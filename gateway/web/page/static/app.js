// SPDX-License-Identifier: GPL-2.0-or-later
// The page: which view is shown, by what stands behind the # of the address, and what is told above it.
//
// A view is a module with `view(root, parameters, context)`. It fills `root`, an empty element, and returns a function
// that ends whatever it has begun (or nothing). `parameters` is {id, query}: the id in the address, and a URLSearchParams
// of what stands behind its ?. `context` is {live, api, session, title(text), say(text), go(hash)}: what goes on
// (live.js), what can be asked (api.js), who has signed in (session.js), the title of the view, a sentence for screen
// readers, and another address.

import { api, ApiError } from "./api.js";
import * as configuration from "./configuration.js";
import { h, replace, write } from "./dom.js";
import { clock } from "./format.js";
import * as history from "./history.js";
import { Live } from "./live.js";
import * as now from "./now.js";
import { Session, signIn } from "./session.js";
import * as transfer from "./transfer.js";
import * as tryIt from "./try.js";

const VIEWS = [
  [/^$/, "Now", now],
  [/^transfers\/([^/]+)$/, "Transfer", transfer],
  [/^history$/, "History", history],
  [/^try$/, "Try it", tryIt],
  [/^configuration$/, "Configuration", configuration],
];

const main = document.getElementById("main");
const live = new Live();
const session = new Session();
let stop = null;

function found(hash) {
  const [path, question = ""] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  for (const [pattern, name, module] of VIEWS) {
    const match = pattern.exec(path);
    if (match) return { name, module, parameters: { id: read(match[1]), query: new URLSearchParams(question) } };
  }
  return null;
}

function read(part) {
  try {
    return part === undefined ? null : decodeURIComponent(part);
  } catch {
    return part;
  }
}

function title(text) {
  document.title = `${text} · Transfer gateway`;
}

function say(text) {
  write(document.getElementById("said"), text);
}

function go(hash) {
  location.hash = hash;
}

function show() {
  stop?.();
  stop = null;
  const root = h("div", { class: "view" });
  replace(main, root);
  const wanted = found(location.hash);
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href").split("?")[0] === `#/${location.hash.replace(/^#?\/?/, "").split("?")[0]}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (wanted === null) {
    title("Not found");
    root.append(h("h1", {}, "There is nothing at this address"), h("p", {}, h("a", { href: "#/" }, "What goes on now")));
    return;
  }
  title(wanted.name);
  const context = { live, api, session, title, say, go };
  try {
    stop = wanted.module.view(root, wanted.parameters, context) ?? null;
  } catch (error) {
    failed(root, error);
  }
}

/** Says in the view what went wrong. */
function failed(root, error) {
  const words = error instanceof ApiError ? error.message : `the page has a fault: ${error.message}`;
  root.append(h("p", { class: "problem", role: "alert" }, words));
}

let wasConnected = true;

function showConnection({ connected, since, now: document_ }) {
  if (wasConnected !== connected && document_ !== null) say(connected ? "The gateway answers again." : "The gateway does not answer.");
  wasConnected = connected || document_ === null;
  const pill = document.getElementById("connection");
  pill.className = `pill ${connected ? (document_.gateway.problems.length ? "doubtful" : "good") : "bad"}`;
  const state = connected ? (document_.gateway.state === "online" ? "live" : document_.gateway.state) : null;
  write(pill, state ?? (document_ === null ? "connecting" : `no word since ${clock(since)}`));
  write(document.getElementById("instance"), document_?.gateway.instance ?? "");
}

function showSession({ is }) {
  const button = document.getElementById("session");
  write(button, is.author === null ? "Sign in" : `Sign out ${is.author}`);
}

document.getElementById("session").addEventListener("click", () => {
  if (session.is.author === null) signIn(session);
  else session.end().catch((error) => say(error.message));
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
live.subscribe(showConnection);
session.subscribe(showSession);
session.look();
live.open();
show();
