"""What an eye, a reader or a keyboard would miss on a page: scripts for `Browser.run`."""

from __future__ import annotations

CONTRAST = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = numbers(colour).slice(0, 3).map((each) => {
    const part = each / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (one, other) => {
  const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
const clear = (colour) => (numbers(colour)[3] ?? 1) < 0.99;
const ground = (node) => {
  for (let each = node; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!clear(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const faults = [];
const hold = (node, what, colour, least) => {
  const found = ratio(colour, ground(node));
  if (found < least) faults.push(`${what} ${found.toFixed(2)} < ${least} (${colour})`);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let texts = 0;
for (let text = walker.nextNode(); text; text = walker.nextNode()) {
  const node = text.parentElement;
  if (!text.data.trim() || !node.checkVisibility()) continue;
  if (node.closest(".unseen, :disabled, script, noscript")) continue;
  const style = getComputedStyle(node);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const drawn = node.namespaceURI.endsWith("svg");
  const colour = drawn ? style.fill : style.color;
  hold(node, `“${text.data.trim().slice(0, 30)}”`, colour, large ? 3 : 4.5);
  texts += 1;
}
for (const node of document.querySelectorAll("input, select, button")) {
  if (!node.checkVisibility() || node.closest(".choice") || node.disabled) continue;
  const style = getComputedStyle(node);
  const edge = ratio(style.borderTopColor, ground(node.parentElement));
  if (edge < 3) faults.push(`edge of ${node.id || node.textContent} ${edge.toFixed(2)} < 3`);
}
for (const node of document.querySelectorAll(".area, .line, .bar.up, .bar.down")) {
  const style = getComputedStyle(node);
  hold(node, node.getAttribute("class"), style.fill === "none" ? style.stroke : style.fill, 3);
}
return { texts, faults };
"""

WIDER = """
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth <= width) return [];
return [...document.querySelectorAll("body *")]
  .filter((each) => each.getBoundingClientRect().right > width + 1)
  .map((each) => `${each.tagName}.${each.getAttribute("class")}`).slice(0, 5);
"""

OUTSIDE = """
return [...document.querySelectorAll("button, label, input, select, p, dd, dt, h2, h3, li")]
  .filter((each) => each.checkVisibility() && !each.closest(".unseen") && !each.matches(".unseen"))
  .filter((each) => {
    const card = each.closest(".card, .filters, .graphs, .block");
    return card && each.getBoundingClientRect().right > card.getBoundingClientRect().right;
  })
  .map((each) => `${each.tagName} ${each.textContent.slice(0, 40)}`).slice(0, 5);
"""

CUT = """
return [...document.querySelectorAll("button, .choice label, h1, h2, h3, dt, .headline, .when")]
  .filter((each) => each.checkVisibility() && !each.closest(".unseen") && !each.matches(".unseen"))
  .filter((each) => getComputedStyle(each).display !== "inline")
  .filter((each) => each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.textContent.slice(0, 40));
"""

BESIDE = """
return [...document.querySelectorAll(".field")]
  .map((each) => [each.querySelector("label"), each.querySelector("input, select")])
  .filter(([label, control]) => control.checkVisibility()
    && label.getBoundingClientRect().bottom > control.getBoundingClientRect().top + 1)
  .map(([label]) => label.textContent);
"""

# roles that nobody can use without a name
NAMED = {"button", "textbox", "combobox", "link", "slider", "radio", "navigation", "region", "form"}
LANDMARKS = {"banner", "main", "navigation", "contentinfo"}
