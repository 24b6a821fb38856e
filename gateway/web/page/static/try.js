// SPDX-License-Identifier: GPL-2.0-or-later
// Try it: where a transfer would go.

import { h } from "./dom.js";

export function view(root) {
  root.append(h("h1", {}, "Try it"), h("p", {}, "Here will stand where a transfer would go."));
}
