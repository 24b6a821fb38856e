// SPDX-License-Identifier: GPL-2.0-or-later
// A transfer: its messages, decisions and outcome.

import { h } from "./dom.js";

export function view(root) {
  root.append(h("h1", {}, "A transfer"), h("p", {}, "Here will stand its messages, decisions and outcome."));
}
