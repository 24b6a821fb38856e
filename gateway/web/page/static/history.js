// SPDX-License-Identifier: GPL-2.0-or-later
// History: the transfers that are over.

import { h } from "./dom.js";

export function view(root) {
  root.append(h("h1", {}, "History"), h("p", {}, "Here will stand the transfers that are over."));
}
