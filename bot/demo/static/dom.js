// Small builders for page nodes. Text only ever becomes a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/demo/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

export function avatar(name, kind = "") {
  const initials = name.split(/\s+/).map((word) => word[0] ?? "").join("").slice(0, 2).toUpperCase();
  if (kind === "bot") return el("span", { class: "avatar bot", "aria-hidden": "true" }, icon("bot"));
  const tone = `tone${[...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 4}`;
  return el("span", { class: `avatar ${tone}`, "aria-hidden": "true" }, initials);
}

export function clock(iso) {
  const at = iso ? new Date(iso) : new Date();
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
