// What a reader can do with the bot from one place: say, press, open the chat. Shared by phones and channel.

import { postJson } from "./activities.js";
import { store as keepFile, thumbnail } from "./files.js";
import { words } from "./texts.js";

const REFRESH_PAUSE_MS = 60_000; // Teams asks for a reader's own card at most once a minute
const CARD = "application/vnd.microsoft.card.adaptive";
const TOAST = "application/vnd.microsoft.activity.message";
const OPENED_KEY = "provisioning-bot.opened";

export class Desk {
  // pane: {toast(text, kind), unsent(text), redraw(message, focus), busy(message, on)}
  constructor(line, store, pane, place) {
    Object.assign(this, { line, store, pane, place });
    this.bot = line.config.bot;
    this.isChannel = place.channel;
    this.refreshed = new Map();
    this.outbox = new Map();
    this.decided = new Map();
    this.actedAt = 0;
  }

  get me() {
    return this.place.person.id;
  }

  // Tells the bot once that the app is here, as an installation does.
  async open() {
    const key = `${this.store.boot} ${this.place.conversation}`;
    const opened = JSON.parse(localStorage.getItem(OPENED_KEY) ?? "[]");
    if (this.store.messages(this.place.conversation).size || opened.includes(key)) return;
    this.actedAt = Date.now();
    localStorage.setItem(OPENED_KEY, JSON.stringify([...opened, key].slice(-12)));
    for (const activity of this.line.installed(this.place)) await this.line.send(activity);
  }

  async say(text, root = "") {
    this.actedAt = Date.now();
    try {
      const conversation = this.place.conversation + (root ? `;messageid=${root}` : "");
      const message = await postJson("/demo/messages", { conversation, person: this.me, text });
      await this.deliver(message, { ...this.place, root: root || (this.isChannel ? message.id : "") });
    } catch {
      this.pane.unsent(text);
      this.pane.toast(words("wentWrong"), "bad");
    }
  }

  // A message that is nothing but a file, or a picture just taken; the chat shows it small or else its name and size, the bot gets its address.
  async sayFile(file, taken = false) {
    this.actedAt = Date.now();
    try {
      const attachment = await keepFile(file, taken);
      if (!attachment) {
        this.pane.toast(words("file.tooLarge"), "bad");
        return;
      }
      const shown = { contentType: attachment.contentType, name: attachment.name ?? file.name, size: file.size, contentUrl: await thumbnail(file) };
      const message = await postJson("/demo/messages", { conversation: this.place.conversation, person: this.me, attachments: [shown] });
      await this.deliver(message, this.place, [attachment]);
    } catch {
      this.pane.toast(words("wentWrong"), "bad");
    }
  }

  // [Allow] or [Decline] under a file that the bot offers.
  async decide(message, attachment, accepted) {
    this.actedAt = Date.now();
    this.pane.busy(message, true);
    let answer = { ok: false };
    try {
      const { acceptContext, declineContext } = attachment.content ?? {};
      const upload = accepted ? await postJson("/demo/places", { name: attachment.name }) : null;
      answer = await this.line.send(this.line.consent(this.place, message.id, accepted ? acceptContext : declineContext, upload));
    } catch {
      // said below: what was not told can be pressed again
    }
    this.pane.busy(message, false);
    if (!answer.ok) {
      this.pane.toast(words("wentWrong"), "bad");
      return;
    }
    this.decided.set(message.id, accepted ? "allowed" : "declined");
    const current = this.store.messages(this.place.conversation).get(message.id);
    if (current) this.pane.redraw(current);
  }

  async deliver(message, place, attachments = []) {
    this.outbox.set(message.id, this.line.message(place, message, this.isChannel, attachments));
    await this.retry(message);
  }

  async retry(message) {
    const answer = await this.line.send(this.outbox.get(message.id));
    const kept = this.store.messages(this.place.conversation).get(message.id) ?? message;
    kept.failed = !answer.ok;
    this.pane.redraw(kept);
    if (answer.ok) this.outbox.delete(message.id);
  }

  view(message) {
    return this.store.view(message, this.me);
  }

  hooks(message) {
    return {
      press: (action, data) => this.press(message, action, data),
      copy: (digits) => this.copy(digits),
    };
  }

  async press(message, action, data, trigger = "manual") {
    const place = { ...this.place, root: this.isChannel ? message.root || message.id : "" };
    const manual = trigger === "manual";
    if (manual) {
      this.actedAt = Date.now();
      this.pane.busy(message, true);
    }
    const activity = action.type === "Action.Submit"
      ? this.line.submit(place, message.id, data)
      : this.line.execute(place, message.id, action, data, trigger);
    const answer = await this.line.send(activity);
    if (manual) this.pane.busy(message, false);
    if (action.type === "Action.Submit") {
      if (!answer.ok) this.pane.toast(words("wentWrong"), "bad");
    } else this.answered(message, answer, manual);
  }

  answered(message, answer, manual) {
    const { statusCode = answer.status, type = "", value } = answer.body ?? {};
    if (!answer.ok) {
      if (manual) this.pane.toast(words("wentWrong"), "bad");
    } else if (type === CARD && value) {
      const current = this.store.messages(this.place.conversation).get(message.id);
      if (!current) return;
      this.store.setView(current, this.me, value);
      this.pane.redraw(current, manual);
    } else if (type === TOAST && manual) this.pane.toast(String(value), "good");
    else if (manual && (statusCode >= 400 || type.includes("error"))) this.pane.toast(value?.message || words("wentWrong"), "bad");
  }

  // A card may name readers who get their own version when they open the chat.
  refresh(message) {
    const card = message.attachments?.find((attachment) => attachment.contentType === CARD)?.content;
    const action = card?.refresh?.action;
    if (action?.type !== "Action.Execute" || !card.refresh.userIds?.includes(this.me)) return;
    const key = `${message.id} ${this.me}`;
    if (Date.now() - (this.refreshed.get(key) ?? 0) < REFRESH_PAUSE_MS) return;
    this.refreshed.set(key, Date.now());
    this.press(message, action, action.data ?? {}, "automatic");
  }

  async copy(digits) {
    try {
      await navigator.clipboard.writeText(digits);
      this.pane.toast(words("copied"), "good");
    } catch {
      this.pane.toast(words("notCopied"), "bad");
    }
  }
}
