// The Markdown that cards may use: bold, italic, lists, links and backslash escapes. Everything else is plain text.

import { el } from "./dom.js";
import { safeUrl } from "./links.js";

const ITEM = /^ {0,3}(?:([-*+])|(\d{1,9})[.)])(?: +|$)(.*)$/;
const LINK = /\[((?:\\.|[^[\]\\])*)\]\(\s*((?:\\.|[^\s()\\])*)\s*\)/y;
const ENTITY = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos|nbsp));/y;
const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const PUNCTUATION = /[!-/:-@[-`{-~]|\p{P}/u;
const ESCAPABLE = /[!-/:-@[-`{-~]/;
const MAX_DEPTH = 6;

export function markdown(text, { breaks = false } = {}) {
  const out = document.createDocumentFragment();
  for (const block of blocks(String(text))) {
    if (block.items) out.append(list(block, breaks));
    else out.append(el("p", {}, inline(block.lines.join("\n"), breaks)));
  }
  return out;
}

export function plain(text) {
  const out = document.createDocumentFragment();
  String(text).split(/\r\n|\n|\r/).forEach((line, index) => out.append(...(index ? [el("br"), line] : [line])));
  return out;
}

function list(block, breaks) {
  const items = block.items.map((item) => el("li", {}, inline(item.join("\n"), breaks)));
  return block.ordered ? el("ol", { start: block.start === 1 ? null : block.start }, items) : el("ul", {}, items);
}

function* blocks(text) {
  let open = null;
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (!line.trim()) {
      if (open && !open.items) { yield open; open = null; }
      else if (open) open.gap = true;
      continue;
    }
    const item = ITEM.exec(line);
    if (item && startsItem(item, open)) {
      const ordered = item[2] !== undefined;
      if (!open?.items || open.ordered !== ordered) {
        if (open) yield open;
        open = { items: [], ordered, start: Number(item[2]) };
      }
      open.gap = false;
      open.items.push([item[3]]);
    } else if (open?.items && !open.gap) open.items.at(-1).push(line.trim());
    else if (open && !open.items) open.lines.push(line.trimStart());
    else { if (open) yield open; open = { lines: [line.trimStart()] }; }
  }
  if (open) yield open;
}

// A paragraph is not cut by an empty item, nor by a number other than 1.
function startsItem(item, open) {
  if (!open || open.items) return true;
  return item[3] !== "" && (item[2] === undefined || item[2] === "1");
}

function inline(text, breaks, depth = 0) {
  const out = [];
  const hopeless = new Set();
  let words = "";
  const flush = () => { if (words) out.push(words); words = ""; };
  for (let at = 0; at < text.length;) {
    const token = read(text, at, depth, hopeless);
    at = token.end;
    if (token.words !== undefined) { words += token.words; continue; }
    if (token.newline) {
      const hard = breaks || token.hard || / {2,}$/.test(words);
      words = words.trimEnd();
      if (hard) { flush(); out.push(el("br")); } else words += " ";
      continue;
    }
    flush();
    out.push(build(token, breaks, depth));
  }
  flush();
  return out;
}

function build(token, breaks, depth) {
  const inner = inline(token.inner, breaks, depth + 1);
  if (token.tag !== "a") return el(token.tag, {}, inner);
  const href = safeUrl(token.url);
  return href ? el("a", { href, target: "_blank", rel: "noopener noreferrer" }, inner) : el("span", {}, inner);
}

function read(text, at, depth, hopeless) {
  const here = text[at];
  if (here === "\\" && text[at + 1] === "\n") return { newline: true, hard: true, end: at + 2 };
  if (here === "\\" && ESCAPABLE.test(text[at + 1] ?? "")) return { words: text[at + 1], end: at + 2 };
  if (here === "\n") return { newline: true, end: at + 1 };
  if (here === "&") return entity(text, at);
  if (here === "[" && depth < MAX_DEPTH) return link(text, at);
  if (here === "*" || here === "_") return emphasis(text, at, depth, hopeless);
  return { words: here, end: at + 1 };
}

function entity(text, at) {
  ENTITY.lastIndex = at;
  const found = ENTITY.exec(text);
  if (!found) return { words: "&", end: at + 1 };
  const [all, decimal, hex, name] = found;
  const number = decimal ? Number(decimal) : parseInt(hex, 16);
  const valid = number > 0 && number <= 0x10ffff && !(number >= 0xd800 && number <= 0xdfff);
  return { words: name ? NAMED[name] : valid ? String.fromCodePoint(number) : "\ufffd", end: at + all.length };
}

function link(text, at) {
  LINK.lastIndex = at;
  const found = LINK.exec(text);
  if (!found) return { words: "[", end: at + 1 };
  return { tag: "a", inner: found[1], url: found[2].replace(/\\([!-/:-@[-`{-~])/g, "$1"), end: at + found[0].length };
}

function runAt(text, at) {
  let end = at;
  while (text[end] === text[at]) end += 1;
  const before = text[at - 1] ?? " ", after = text[end] ?? " ";
  const spaceBefore = /\s/.test(before), spaceAfter = /\s/.test(after);
  const markBefore = PUNCTUATION.test(before), markAfter = PUNCTUATION.test(after);
  const left = !spaceAfter && (!markAfter || spaceBefore || markBefore);
  const right = !spaceBefore && (!markBefore || spaceAfter || markAfter);
  const word = text[at] === "_";
  return { size: end - at, end, opens: left && (!word || !right || markBefore), closes: right && (!word || !left || markAfter) };
}

function emphasis(text, at, depth, hopeless) {
  const run = runAt(text, at);
  const size = run.size === 2 ? 2 : 1;
  const key = text[at] + size;
  const literal = { words: text.slice(at, run.end), end: run.end };
  if (!run.opens || depth >= MAX_DEPTH || hopeless.has(key)) return literal;
  const close = closer(text, at + size, text[at], size, run.end);
  if (close < 0) { hopeless.add(key); return literal; }
  return { tag: size === 2 ? "strong" : "em", inner: text.slice(at + size, close), end: close + size };
}

function closer(text, from, mark, size, skip) {
  for (let at = Math.max(from, skip); at < text.length; at += 1) {
    if (text[at] === "\\") { at += 1; continue; }
    if (text[at] !== mark) continue;
    const run = runAt(text, at);
    const fits = size === 2 ? run.size >= 2 : run.size !== 2;
    if (run.closes && fits && at > from) return run.end - size;
    at = run.end - 1;
  }
  return -1;
}
