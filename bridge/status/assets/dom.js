// Elements made without markup: what is given as text stays text.

const SVG = "http://www.w3.org/2000/svg";

function dress(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(key, value === true ? "" : String(value));
    }
  }
}

function fill(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** An HTML element. `attributes.on`: listeners by event; null and false are left out. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  dress(node, attributes);
  return fill(node, children);
}

/** An SVG element, in the same way. */
export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  dress(node, attributes);
  return fill(node, children);
}

/** Text that others wrote: a name, a URL, a user. It cannot turn what stands around it. */
export function foreign(text, attributes = {}) {
  return el("bdi", { class: "foreign", dir: "auto", ...attributes }, text);
}

/** A sign for the eye alone; the word stands beside it. */
export function mark(sign) {
  return el("span", { class: "mark", "aria-hidden": "true" }, sign);
}

const named = (node) => (node.nodeType === 1 ? node.getAttribute("data-key") : null);
const alike = (one, other) => one.nodeName === other.nodeName && named(one) === named(other);

function sync(old, fresh) {
  if (old.nodeType === 3) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  become(old, [...fresh.childNodes]);
}

function become(parent, fresh) {
  let old = parent.firstChild;
  for (const node of fresh) {
    const keyed = named(node);
    if (old && keyed !== null && !alike(old, node)) {
      const here = [...parent.childNodes].find((each) => alike(each, node));
      if (here) old = parent.insertBefore(here, old);
    }
    if (old && alike(old, node)) {
      sync(old, node);
      old = old.nextSibling;
    } else {
      parent.insertBefore(node, old);
    }
  }
  while (old) {
    const next = old.nextSibling;
    old.remove();
    old = next;
  }
}

/**
 * Make the children of `parent` what `children` are, and keep the nodes that are there: nothing
 * flickers, focus and selection stay. Listeners of `children` are lost; `data-key` tells rows.
 */
export function update(parent, ...children) {
  become(parent, [...fill(document.createDocumentFragment(), children).childNodes]);
}
