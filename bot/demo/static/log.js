// The scrolling list of messages: adds, replaces and removes nodes and keeps the newest in sight.

import { el } from "./dom.js";
import { messageNode } from "./messages.js";

const TOGETHER_MS = 5 * 60_000;
const NEAR_PX = 90;
const EDGE_PX = 8;
const THERE_PX = 2;

export class MessageLog {
  constructor(label) {
    this.list = el("div", { class: "log-list" });
    this.node = el("div", { class: "log", role: "log", "aria-label": label, tabindex: "0" }, this.list);
    this.following = true;
    this.node.addEventListener("scroll", () => { if (this.size === this.sizeNow()) this.following = this.isAtEnd(); });
    const growing = new ResizeObserver(() => {
      this.size = this.sizeNow();
      if (this.following) this.toEnd();
    });
    growing.observe(this.node);
    growing.observe(this.list); // a picture takes its place once it is drawn
  }

  // While it differs from what was seen last, it is the size that moved the log, and not its reader.
  sizeNow() {
    return `${this.node.clientHeight} ${this.node.scrollHeight}`;
  }

  isAtEnd(near = NEAR_PX) {
    const { scrollHeight, scrollTop, clientHeight } = this.node;
    return scrollHeight - scrollTop - clientHeight < near;
  }

  find(id) {
    return this.list.querySelector(`.message[data-id="${CSS.escape(id)}"]`);
  }

  rebuild(fill) {
    this.list.replaceChildren();
    fill();
    this.toEnd();
  }

  // Runs a change and stays at the end if the reader was there.
  keepingPlace(change, follow = false) {
    const atEnd = this.isAtEnd();
    change();
    if (atEnd || follow) this.toEnd();
  }

  toEnd() {
    this.following = true;
    this.node.scrollTop = this.node.scrollHeight;
  }

  // What somebody has just changed is read from its top, however tall it became.
  toTopOf(node) {
    const log = this.node.getBoundingClientRect();
    const box = node.getBoundingClientRect();
    const above = box.top - EDGE_PX - log.top;
    const below = box.bottom + EDGE_PX - log.bottom;
    this.node.scrollTop += Math.min(above, Math.max(0, below));
    this.following = this.isAtEnd(THERE_PX);
  }

  add(into, message, desk) {
    const last = into.lastElementChild;
    const together = last?.dataset.from === message.from.id && Date.parse(message.at) - Number(last.dataset.at) < TOGETHER_MS;
    into.append(this.build(message, desk, !together));
  }

  build(message, desk, showAuthor) {
    const node = messageNode(message, desk, { showAuthor });
    node.dataset.from = message.from.id;
    node.dataset.at = String(Date.parse(message.at));
    return node;
  }

  replace(message, desk, focus = false) {
    const old = this.find(message.id);
    if (!old) return;
    const hadFocus = focus || old.contains(document.activeElement);
    const fresh = this.build(message, desk, !old.classList.contains("follows"));
    fresh.classList.add("changed");
    fresh.addEventListener("animationend", () => fresh.classList.remove("changed"), { once: true });
    if (!hadFocus) {
      this.keepingPlace(() => old.replaceWith(fresh));
      return;
    }
    old.replaceWith(fresh);
    fresh.focus({ preventScroll: true });
    this.toTopOf(fresh);
  }

  busy(message, on) {
    const card = this.find(message.id)?.querySelector(".card-frame");
    if (!card) return;
    card.classList.toggle("busy", on);
    card.setAttribute("aria-busy", String(on));
    for (const button of card.querySelectorAll("button.action")) button.setAttribute("aria-disabled", String(on));
    card.inert = on;
  }
}
