// A small renderer of Adaptive Cards 1.5: exactly the elements and properties of card-elements.json.

import { actionSet } from "./card-actions.js";
import { INPUTS } from "./card-inputs.js";
import { el } from "./dom.js";
import { INLINE } from "./files.js";
import { markdown } from "./markdown.js";
import { words } from "./texts.js";

const VERSION = [1, 5];
const CODE = /^[\d ]{6,24}$/;

export const table = await (await fetch(new URL("card-elements.json", import.meta.url))).json();

const ELEMENTS = {
  TextBlock: textBlock,
  Image: image,
  Container: container,
  ColumnSet: columnSet,
  FactSet: factSet,
  ActionSet: (element, scope) => actionSet(list(element.actions), scope),
  ...INPUTS,
};

// hooks.press(action, data, button) is called for Execute and Submit; hooks.copy(digits) for a tap on a code.
export function renderCard(card, hooks = {}) {
  const scope = { inputs: [], parent: null, hooks, renderInner: (inner, parent) => cardBody(inner, newScope(parent)), known };
  const node = el("div", { class: "card", lang: typeof card?.lang === "string" ? card.lang : null });
  if (isTooNew(card?.version)) {
    node.append(el("div", { class: "tb" }, markdown(card.fallbackText || words("cardTooNew"))));
    return node;
  }
  node.append(...cardBody(card, scope));
  return node;
}

function newScope(parent) {
  return { ...parent, inputs: [], parent, style: "default" };
}

function cardBody(raw, scope) {
  const card = pick("AdaptiveCard", raw);
  const body = elements(card.body, scope);
  const actions = list(card.actions).map((action) => known(action, "Action.")).filter(Boolean);
  if (actions.length) body.push(el("div", { class: "element sp-default" }, actionSet(actions, scope)));
  return body;
}

function isTooNew(version) {
  const [major = 1, minor = 0] = String(version ?? "1.0").split(".").map((part) => Number.parseInt(part, 10) || 0);
  return major > VERSION[0] || (major === VERSION[0] && minor > VERSION[1]);
}

const list = (value) => (Array.isArray(value) ? value : []);

function elements(items, scope) {
  const out = [];
  for (const raw of list(items)) {
    const element = known(raw);
    const node = element && ELEMENTS[element.type](element, scope);
    if (node) out.push(placed(node, element, out.length === 0));
  }
  return out;
}

function placed(node, element, isFirst) {
  node.classList.add("element");
  if (element.id && !node.id) node.dataset.element = element.id;
  if (isFirst) return node;
  node.classList.add(`sp-${element.spacing ?? "default"}`);
  if (element.separator) node.classList.add("separated");
  return node;
}

// The element if its type is in the table, else what it falls back to, else nothing.
function known(raw, prefix = "") {
  for (let element = raw, steps = 0; element && typeof element === "object" && steps < 8; steps += 1) {
    const type = element.type;
    const ours = prefix ? String(type).startsWith(prefix) : Object.hasOwn(ELEMENTS, type);
    if (ours && Object.hasOwn(table, type)) return { type, ...pick(type, element) };
    element = element.fallback === "drop" ? null : element.fallback;
  }
  return null;
}

// Only the properties that the table allows; enumerated values in lower case.
function pick(type, raw) {
  const out = {};
  for (const [name, kind] of Object.entries(table[type])) {
    const value = raw?.[name];
    if (value === undefined || value === null) continue;
    if (!Array.isArray(kind)) { if (fits(kind, value)) out[name] = value; continue; }
    const match = kind.find((allowed) => allowed.toLowerCase() === String(value).toLowerCase());
    if (match) out[name] = match.toLowerCase();
  }
  return out;
}

function fits(kind, value) {
  return !["string", "boolean", "number"].includes(kind) || typeof value === kind;
}

function textBlock(element, scope) {
  if (!element.text) return null;
  const look = ["size", "weight", "color", "fontType", "horizontalAlignment"];
  const heading = element.style === "heading";
  const node = el("div", { class: "tb" });
  for (const name of look) if (element[name] && element[name] !== "default") node.classList.add(`${name}-${element[name]}`);
  if (heading) {
    node.classList.add("heading");
    node.setAttribute("role", "heading");
    node.setAttribute("aria-level", "3");
  }
  if (element.isSubtle) node.classList.add("subtle");
  if (!element.wrap) node.classList.add("nowrap");
  else if (element.maxLines > 0) {
    node.classList.add("clamped");
    node.style.setProperty("-webkit-line-clamp", String(Math.floor(element.maxLines)));
  }
  node.append(isCode(element, scope) ? codeButton(element.text, scope) : markdown(element.text));
  return node;
}

// Only one that stands in the card itself: the page asks no other host for anything.
function image(element) {
  if (!INLINE.test(element.url ?? "")) return null;
  return el("img", { class: `card-image size-${element.size ?? "auto"}`, src: element.url, alt: element.altText ?? "" });
}

function isCode(element, scope) {
  return scope.hooks.copy && element.fontType === "monospace" && CODE.test(element.text);
}

function codeButton(text, scope) {
  const digits = text.replaceAll(" ", "");
  return el("button", {
    type: "button", class: "code", title: words("copyCode"), "aria-label": words("copyCodeLabel", { code: text }),
    onclick: () => scope.hooks.copy(digits),
  }, text);
}

// A style only shows where it differs from what is around it.
function container(element, scope) {
  const around = scope.style ?? "default";
  const style = element.style ?? around;
  const shown = style === around ? "" : ` style-${style}`;
  return el("div", { class: `container${shown}` }, elements(element.items, { ...scope, style }));
}

function columnSet(element, scope) {
  const node = el("div", { class: "columns" });
  for (const raw of list(element.columns)) {
    const column = pick("Column", raw);
    const box = el("div", { class: "column" }, elements(column.items, scope));
    if (node.children.length) {
      box.classList.add(`gap-${column.spacing ?? "default"}`);
      if (column.separator) box.classList.add("separated");
    }
    setWidth(box, column.width ?? "stretch");
    node.append(box);
  }
  return node.children.length ? node : null;
}

function setWidth(box, width) {
  const weight = Number(width);
  if (weight > 0) box.style.flex = `${weight} 1 0`;
  else if (/^\d{1,4}px$/.test(width)) box.style.flex = `0 0 ${width}`;
  else box.classList.add(width === "auto" ? "auto" : "stretch");
}

function factSet(element) {
  const node = el("dl", { class: "facts" });
  for (const raw of list(element.facts)) {
    const fact = pick("Fact", raw);
    node.append(el("dt", {}, markdown(fact.title ?? "")), el("dd", {}, markdown(fact.value ?? "")));
  }
  return node.children.length ? node : null;
}
