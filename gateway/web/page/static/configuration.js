// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration: what is in force.

import { h } from "./dom.js";

export function view(root) {
  root.append(h("h1", {}, "Configuration"), h("p", {}, "Here will stand what is in force."));
}
