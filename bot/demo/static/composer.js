// Where people type: Enter sends, Shift+Enter breaks the line, Up brings the last one back.

import { el, icon } from "./dom.js";
import { words } from "./texts.js";

const MAX_HEIGHT = 120;

export class Composer {
  // beside: what stands before the text, such as the button that attaches a file
  constructor({ label, placeholder, send, beside = [] }) {
    this.send = send;
    this.sent = [];
    this.at = 0;
    this.box = el("textarea", { class: "compose-text", rows: 1, placeholder, "aria-label": label, enterkeyhint: "send", autocomplete: "off" });
    const go = el("button", { type: "submit", class: "icon-button send", "aria-label": words("send"), title: words("send") }, icon("send"));
    this.node = el("form", { class: "composer" }, el("div", { class: "compose-row" }, ...beside, this.box, go));
    this.node.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("input", () => this.grow());
  }

  relabel(label, placeholder) {
    this.box.setAttribute("aria-label", label);
    this.box.placeholder = placeholder;
  }

  key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" && this.recall(-1)) event.preventDefault();
    else if (event.key === "ArrowDown" && this.recall(1)) event.preventDefault();
  }

  // Only while the box is empty or still shows a recalled text.
  recall(step) {
    const untouched = this.box.value === "" || this.box.value === this.sent[this.at];
    const next = Math.min(this.at + step, this.sent.length);
    if (!untouched || next < 0 || next === this.at) return false;
    this.at = next;
    this.box.value = this.sent[next] ?? "";
    this.grow();
    return true;
  }

  submit() {
    const text = this.box.value.trim();
    if (!text) return;
    if (this.sent.at(-1) !== text) this.sent.push(text);
    this.at = this.sent.length;
    this.box.value = "";
    this.grow();
    this.send(text);
  }

  restore(text) {
    if (this.box.value) return;
    this.box.value = text;
    this.grow();
  }

  grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, MAX_HEIGHT)}px`;
  }
}
