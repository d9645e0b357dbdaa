// A phone with one person's 1:1 chat; the technician's phone can change hands.

import { ChatPane } from "./chat-pane.js";
import { choose, chosen } from "./choices.js";
import { Desk } from "./desk.js";
import { avatar, clock, el, icon } from "./dom.js";
import { attachButton, cameraButton, dropTarget } from "./files.js";
import { words } from "./texts.js";

const PUSH_MS = 5_000;
const QUIET_MS = 4_000; // an answer to what was just said or pressed is no news

export class PhonePane extends ChatPane {
  constructor({ id, people, line, store }) {
    super({ id, line, store });
    this.people = people;
    this.desks = new Map(people.map((person) => [person.id, this.deskOf(person)]));
    this.desk = this.desks.get(chosen(id, [...this.desks.keys()]));
    this.log.node.append(this.emptyState(words("emptyChat"), words("emptyChatMore"), "bot"));
    this.holder = el("span", { class: "holder" });
    this.node = el("section", { class: "pane phone-pane", id: `pane-${id}`, "aria-label": words(`paneTitle.${id}`) },
      this.head(), this.phone());
    this.drawHolder();
  }

  deskOf(person) {
    const place = { person, conversation: person.conversation, channel: false };
    return new Desk(this.line, this.store, this, place);
  }

  head() {
    const title = el("h2", {}, words(`paneTitle.${this.id}`));
    if (this.people.length === 1) return el("header", { class: "pane-head" }, title, this.holder);
    this.buttons = this.people.map((person) => el("button", {
      type: "button", "aria-pressed": "false", onclick: () => this.handTo(person),
    }, person.name.split(" ")[0]));
    return el("header", { class: "pane-head" }, title, el("div", { class: "segmented", role: "group", "aria-label": words("whose") }, this.buttons));
  }

  phone() {
    const { bot } = this.line.config;
    const time = el("span", {}, clock());
    setInterval(() => { time.textContent = clock(); }, 10_000);
    const status = el("div", { class: "phone-status", "aria-hidden": "true" }, time, el("span", { class: "island" }), el("span", { class: "phone-icons" }, icon("signal"), icon("battery")));
    this.reader = el("span", { class: "chat-sub" });
    this.push = el("div", { class: "push", "aria-hidden": "true", hidden: true });
    const head = el("div", { class: "chat-head" }, avatar(bot.name, "bot"), el("div", { class: "chat-names" }, el("span", { class: "chat-name" }, bot.name), this.reader));
    const foot = el("div", { class: "chat-foot" }, this.toasts, this.typing, this.hints, this.composer.node);
    const node = el("div", { class: "phone" }, el("div", { class: "screen" }, this.push, status, head, this.log.node, foot, el("div", { class: "home-bar", "aria-hidden": "true" })));
    dropTarget(node, (file) => this.desk.sayFile(file));
    return node;
  }

  beside() {
    return [...attachButton((file) => this.desk.sayFile(file)), ...cameraButton((file) => this.desk.sayFile(file, true))];
  }

  arrived(message) {
    super.arrived(message);
    const asked = Date.now() - this.desk.actedAt < QUIET_MS;
    if (message.from.id === this.desk.bot.id && message.summary && !asked) this.notify(message.summary);
  }

  // What the phone's lock screen would say: the summary of a message that nobody asked for.
  notify(summary) {
    const { name } = this.line.config.bot;
    this.push.replaceChildren(avatar(name, "bot"), el("div", {}, el("strong", {}, name), el("span", {}, summary)));
    this.push.hidden = false;
    clearTimeout(this.pushTimer);
    this.pushTimer = setTimeout(() => this.putAway(), PUSH_MS);
  }

  // Whoever presses something in the chat has seen what its head was covered by.
  busy(message, on) {
    super.busy(message, on);
    if (on) this.putAway();
  }

  putAway() {
    this.push.hidden = true;
    this.push.replaceChildren();
  }

  handTo(person) {
    if (person.id === this.desk.me) return;
    this.desk = this.desks.get(person.id);
    choose(this.id, person.id);
    this.drawHolder();
    this.toasts.replaceChildren();
    this.typing.hidden = true;
    this.putAway();
    this.started();
  }

  drawHolder() {
    const { person } = this.desk.place;
    this.holder.textContent = person.name;
    this.reader.textContent = person.name.split(" ")[0]; // the bot alone knows what role they have by now
    this.buttons?.forEach((button, index) => button.setAttribute("aria-pressed", String(this.people[index] === person)));
  }

  suggestions() {
    return this.line.config.suggestions[this.desk.place.person.role || "none"];
  }
}
