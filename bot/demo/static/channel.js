// The team channel: posts with their replies; whoever posts here always mentions the bot.

import { ChatPane } from "./chat-pane.js";
import { choose, chosen } from "./choices.js";
import { Desk } from "./desk.js";
import { avatar, el, icon } from "./dom.js";
import { words } from "./texts.js";

export class ChannelPane extends ChatPane {
  constructor({ people, line, store }) {
    super({ id: "channel", line, store });
    this.people = people;
    this.replyRoot = "";
    const { channel } = line.config;
    this.desks = new Map(people.map((person) => [person.id, new Desk(line, store, this, { person, conversation: channel.id, channel: true })]));
    this.desk = this.desks.get(chosen("channel", [...this.desks.keys()]));
    this.composer.relabel(words("postTo", line.config.bot), words("postTo", line.config.bot));
    this.log.node.append(this.emptyState(words("emptyChannel"), words("emptyChannelMore"), "channel"));
    this.node = el("section", { class: "pane channel-pane", id: "pane-channel", "aria-label": words("paneTitle.channel") }, this.head(), this.window());
  }

  head() {
    this.buttons = this.people.map((person) => el("button", {
      type: "button", "aria-pressed": String(person.id === this.desk.me), onclick: () => this.postAs(person),
    }, person.name.split(" ")[0]));
    return el("header", { class: "pane-head" }, el("h2", {}, words("paneTitle.channel")),
      el("div", { class: "segmented", role: "group", "aria-label": words("postAs") }, this.buttons));
  }

  window() {
    const { team, channel } = this.line.config;
    const crest = el("span", { class: "crest", "aria-hidden": "true" }, team.name.slice(0, 1));
    const bar = el("div", { class: "channel-head" }, crest, el("div", { class: "chat-names" },
      el("span", { class: "chat-name" }, channel.name), el("span", { class: "chat-sub" }, team.name)),
    el("div", { class: "faces" }, this.people.map((person) => avatar(person.name)), avatar("", "bot")));
    this.replying = el("div", { class: "replying", hidden: true });
    const foot = el("div", { class: "chat-foot" }, this.toasts, this.typing, this.hints, this.replying, this.composer.node);
    return el("div", { class: "channel" }, bar, this.log.node, foot);
  }

  postAs(person) {
    this.desk = this.desks.get(person.id);
    choose("channel", person.id);
    this.buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(this.people[index] === person)));
    this.started();
  }

  say(text) {
    this.desk.say(text, this.replyRoot);
    this.replyTo(null);
  }

  append(message) {
    if (!message.root) {
      this.log.list.append(this.thread(message.id, this.log.build(message, this.desk, true)));
      return;
    }
    let thread = this.log.list.querySelector(`.thread[data-root="${CSS.escape(message.root)}"]`);
    if (!thread) {
      thread = this.thread(message.root, null);
      this.log.list.append(thread);
    }
    this.log.add(thread.querySelector(".replies"), message, this.desk);
  }

  thread(root, first) {
    const reply = el("button", { type: "button", class: "link reply", onclick: () => this.replyTo(root) }, icon("reply"), words("reply"));
    return el("div", { class: "thread", "data-root": root }, first, el("div", { class: "replies" }), reply);
  }

  removed(id) {
    const node = this.log.find(id);
    const thread = node?.closest(".thread");
    node?.remove();
    if (thread && !thread.querySelector(".message")) thread.remove();
  }

  replyTo(root) {
    this.replyRoot = root ?? "";
    this.replying.replaceChildren();
    this.replying.hidden = !root;
    if (!root) return;
    const author = this.store.messages(this.desk.place.conversation).get(root)?.from.name ?? "";
    const stop = el("button", { type: "button", class: "icon-button small", "aria-label": words("stopReply"), title: words("stopReply"), onclick: () => { this.replyTo(null); this.composer.box.focus(); } }, icon("close"));
    this.replying.append(icon("reply"), el("span", {}, words("replyingTo", { name: author })), stop);
    this.composer.box.focus();
  }

  suggestions() {
    return this.line.config.suggestions.channel;
  }
}
