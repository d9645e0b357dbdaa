// What a phone and the channel have in common: a log, a composer, short notices, suggestions.

import { Composer } from "./composer.js";
import { el, icon } from "./dom.js";
import { MessageLog } from "./log.js";
import { words } from "./texts.js";

const TOAST_MS = 6_000;
const TYPING_MS = 6_000;

export class ChatPane extends EventTarget {
  constructor({ id, kind, line, store }) {
    super();
    Object.assign(this, { id, kind, line, store });
    this.log = new MessageLog(words("messages", { place: words(`paneTitle.${id}`) }));
    this.toasts = el("div", { class: "toasts", role: "status", "aria-live": "polite" });
    this.typing = el("div", { class: "typing", hidden: true }, el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")), words("typing", line.config.bot));
    this.hints = el("div", { class: "hints" });
    this.composer = new Composer({
      label: words("writeTo", line.config.bot), placeholder: words("write"), send: (text) => this.say(text), beside: this.beside(),
    });
    store.addEventListener("change", (event) => this.heard(event.detail));
  }

  say(text) {
    this.desk.say(text);
  }

  // What could not even be kept comes back to where it was typed.
  unsent(text) {
    this.composer.restore(text);
  }

  heard({ kind, data }) {
    if (kind === "snapshot") this.started();
    else if (data.conversation !== this.desk.place.conversation) return;
    else if (kind === "typing") this.showTyping();
    else if (kind === "message") this.arrived(data);
    else if (kind === "update") { this.redraw(data); this.desk.refresh(data); }
    else if (kind === "delete") this.removed(data.id);
  }

  // The list is drawn anew: at the start, after a restart of the service, for another reader.
  started() {
    const messages = this.store.sorted(this.desk.place.conversation);
    this.log.rebuild(() => messages.forEach((message) => this.append(message)));
    this.drawHints();
    this.desk.open();
    messages.forEach((message) => this.desk.refresh(message));
  }

  arrived(message) {
    const byBot = message.from.id === this.desk.bot.id;
    if (byBot) this.typing.hidden = true;
    this.log.keepingPlace(() => this.append(message), !byBot);
    this.drawHints();
    if (byBot) {
      this.desk.refresh(message);
      this.dispatchEvent(new CustomEvent("news"));
    }
  }

  append(message) {
    this.log.add(this.log.list, message, this.desk);
  }

  redraw(message, focus = false) {
    this.log.replace(message, this.desk, focus);
  }

  removed(id) {
    this.log.find(id)?.remove();
  }

  busy(message, on) {
    this.log.busy(message, on);
  }

  showTyping() {
    this.typing.hidden = false;
    clearTimeout(this.typingTimer);
    this.typingTimer = setTimeout(() => { this.typing.hidden = true; }, TYPING_MS);
  }

  toast(text, tone = "") {
    const node = el("div", { class: `toast ${tone}` }, text);
    this.toasts.replaceChildren(node);
    setTimeout(() => node.remove(), TOAST_MS);
  }

  // First commands as chips, until somebody here said something.
  drawHints() {
    const messages = this.store.sorted(this.desk.place.conversation);
    const quiet = !messages.some((message) => message.from.id !== this.desk.bot.id);
    this.hints.replaceChildren();
    this.hints.hidden = !quiet;
    this.log.node.classList.toggle("empty", messages.length === 0);
    if (!quiet) return;
    const press = (text) => () => { this.say(text); this.composer.box.focus({ preventScroll: true }); };
    this.hints.append(el("span", { class: "hint-label" }, words("tryThese")),
      ...this.suggestions().map((text) => el("button", { type: "button", class: "chip", onclick: press(text) }, text)));
  }

  emptyState(title, more, iconName) {
    return el("div", { class: "empty-state" }, el("span", { class: "empty-icon" }, icon(iconName)), el("strong", {}, title), el("span", {}, more));
  }

  // Teams takes files in a 1:1 chat alone.
  beside() {
    return [];
  }

  suggestions() {
    return [];
  }
}
