// Where people type: Enter sends, Shift+Enter breaks the line, Up brings the last one back.

import { el, icon } from "./dom.js";
import { TEXT } from "./texts.js";

const MAX_FILE = 20 * 1024 * 1024;
const MAX_HEIGHT = 120;

export class Composer {
  // send({text, file}) ; files: whether a file may be attached
  constructor({ label, placeholder, send, files = false, onError = () => {} }) {
    this.send = send;
    this.onError = onError;
    this.sent = [];
    this.at = 0;
    this.file = null;
    this.box = el("textarea", { class: "compose-text", rows: 1, placeholder, "aria-label": label, enterkeyhint: "send", autocomplete: "off" });
    this.picker = el("input", { type: "file", hidden: true, onchange: () => this.attach(this.picker.files[0]) });
    this.tray = el("div", { class: "tray", hidden: true });
    const clip = files && el("button", { type: "button", class: "icon-button", "aria-label": TEXT.attach, title: TEXT.attach, onclick: () => this.picker.click() }, icon("clip"));
    const go = el("button", { type: "submit", class: "icon-button send", "aria-label": TEXT.send, title: TEXT.send }, icon("send"));
    this.node = el("form", { class: "composer" }, this.tray, el("div", { class: "compose-row" }, clip, this.box, go), this.picker);
    this.node.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("input", () => this.grow());
    if (files) this.acceptDrops();
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
    if (!text && !this.file) return;
    const file = this.file;
    if (text && this.sent.at(-1) !== text) this.sent.push(text);
    this.at = this.sent.length;
    this.box.value = "";
    this.attach(null);
    this.grow();
    this.send({ text, file });
  }

  attach(file) {
    this.picker.value = "";
    if (file && file.size > MAX_FILE) {
      this.onError(TEXT.fileTooBig);
      return;
    }
    this.file = file ?? null;
    this.tray.hidden = !this.file;
    this.tray.replaceChildren();
    if (!this.file) return;
    const remove = el("button", { type: "button", class: "icon-button small", "aria-label": TEXT.removeFile, onclick: () => { this.attach(null); this.box.focus(); } }, icon("close"));
    this.tray.append(icon("file"), el("span", {}, this.file.name), remove);
    this.box.focus();
  }

  acceptDrops() {
    this.node.addEventListener("dragover", (event) => event.preventDefault());
    this.node.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) this.attach(event.dataTransfer.files[0]);
    });
    this.box.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length) { event.preventDefault(); this.attach(event.clipboardData.files[0]); }
    });
  }

  grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, MAX_HEIGHT)}px`;
  }
}
