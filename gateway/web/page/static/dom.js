// SPDX-License-Identifier: GPL-2.0-or-later
// Elements made of tag, attributes and children. A text is always text: nothing here reads HTML, so that whatever a
// caller or a peer has chosen (a name, a header, a number) can do nothing but be read.

const SVG = "http://www.w3.org/2000/svg";

/** Attributes that may be set. None of them runs or loads anything; `href` has a rule of its own. */
const ATTRIBUTES = new Set([
  "id", "class", "role", "lang", "dir", "title", "tabindex", "hidden", "open", "for", "type", "name", "value", "placeholder",
  "min", "max", "step", "disabled", "checked", "selected", "required", "multiple", "autocomplete", "maxlength", "list",
  "scope", "colspan", "rowspan", "datetime", "download", "width", "height",
  "viewBox", "preserveAspectRatio", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "d", "points", "transform",
  "text-anchor", "dominant-baseline", "marker-start", "marker-end", "markerWidth", "markerHeight", "refX", "refY", "orient",
  "stroke-dasharray", "focusable",
]);
const OURS = /^(?:#|api\/|page\/)/;

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on") && typeof value === "function") {
    element.addEventListener(name.slice(2), value);
  } else if (name === "href" && OURS.test(String(value))) {
    element.setAttribute("href", String(value));
  } else if (ATTRIBUTES.has(name) || name.startsWith("aria-") || name.startsWith("data-")) {
    element.setAttribute(name, value === true ? "" : String(value));
  } else {
    throw new TypeError(`no attribute of ours: ${name}`);
  }
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

/** An element of HTML: `h("a", {href: "#/", onclick: go}, "text", another)`; null, undefined and false are left out. */
export function h(tag, attributes, ...children) {
  if (tag === "script" || tag === "style" || tag === "iframe") throw new TypeError(`no element of ours: ${tag}`);
  return filled(document.createElement(tag), attributes, children);
}

/** The same of SVG. */
export function s(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Has these children alone in an element. */
export function replace(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
}

/** Has this text in an element, unless it has it already. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Keeps the children of a list by key, so that what stays keeps its focus and its place: `make(item)` gives an element
 * with an `update(item)` of its own. Those of `items` are there afterwards, in their order.
 */
export class Keyed {
  constructor(parent, key, make) {
    Object.assign(this, { parent, key, make, known: new Map() });
  }

  show(items) {
    const wanted = new Set(items.map(this.key));
    for (const [key, part] of this.known) {
      if (!wanted.has(key)) {
        part.element.remove();
        this.known.delete(key);
      }
    }
    let before = null;
    for (const item of items) {
      const key = this.key(item);
      let part = this.known.get(key);
      if (part === undefined) {
        part = this.make(item);
        this.known.set(key, part);
      }
      part.update(item);
      const place = before === null ? this.parent.firstChild : before.nextSibling;
      if (place !== part.element) this.parent.insertBefore(part.element, place);
      before = part.element;
    }
  }
}
