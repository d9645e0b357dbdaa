// What a reader can do with the bot from one place: say, press, accept a file, open the chat. Shared by phones and channel.

import { postJson } from "./activities.js";
import { TEXT } from "./texts.js";

const REFRESH_PAUSE_MS = 60_000; // Teams asks for a reader's own card at most once a minute
const CARD = "application/vnd.microsoft.card.adaptive";
const TOAST = "application/vnd.microsoft.activity.message";
const RECEIVED = "application/vnd.microsoft.teams.file.download.info";
const OPENED_KEY = "provisioning-bot.opened";

export class Desk {
  // pane: {toast(text, kind), redraw(message, focus), busy(message, on)}
  constructor(line, store, pane, place) {
    Object.assign(this, { line, store, pane, place });
    this.bot = line.config.bot;
    this.isChannel = place.channel;
    this.refreshed = new Map();
    this.outbox = new Map();
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

  async say({ text, file = null, root = "" }) {
    this.actedAt = Date.now();
    try {
      const attachments = file ? [await upload(file)] : [];
      const conversation = this.place.conversation + (root ? `;messageid=${root}` : "");
      const message = await postJson("/demo/messages", { conversation, person: this.me, text, attachments });
      await this.deliver(message, { ...this.place, root: root || (this.isChannel ? message.id : "") });
    } catch {
      this.pane.toast(TEXT.wentWrong, "bad");
    }
  }

  async deliver(message, place) {
    const { id, text = "", attachments = [] } = message;
    const activity = this.line.message(place, { id, text, attachments, mention: this.isChannel });
    this.outbox.set(id, activity);
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
      if (!answer.ok) this.pane.toast(TEXT.wentWrong, "bad");
    } else this.answered(message, answer, manual);
  }

  answered(message, answer, manual) {
    const { statusCode = answer.status, type = "", value } = answer.body ?? {};
    if (!answer.ok) {
      if (manual) this.pane.toast(TEXT.wentWrong, "bad");
    } else if (type === CARD && value) {
      const current = this.store.messages(this.place.conversation).get(message.id);
      if (!current) return;
      this.store.setView(current, this.me, value);
      this.pane.redraw(current, manual);
    } else if (type === TOAST && manual) this.pane.toast(String(value), "good");
    else if (manual && (statusCode >= 400 || type.includes("error"))) this.pane.toast(value?.message || TEXT.wentWrong, "bad");
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

  async consent(message, attachment, accept) {
    const { acceptContext, declineContext } = attachment.content ?? {};
    const value = { type: "fileUpload", action: accept ? "accept" : "decline", context: accept ? acceptContext : declineContext };
    try {
      if (accept) value.uploadInfo = await place(attachment.name ?? "file");
      const answer = await this.line.send(this.line.invoke(this.place, "fileConsent/invoke", value, message.id));
      if (!answer.ok) throw new Error(String(answer.status));
    } catch {
      this.pane.redraw(message);
      this.pane.toast(TEXT.wentWrong, "bad");
    }
  }

  async copy(digits) {
    try {
      await navigator.clipboard.writeText(digits);
      this.pane.toast(TEXT.copied, "good");
    } catch {
      this.pane.toast(TEXT.notCopied, "bad");
    }
  }
}

async function upload(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  const kept = await postJson("/demo/files", { name: file.name, type: file.type, content: btoa(binary) });
  const url = location.origin + kept.path;
  if (file.type.startsWith("image/")) return { contentType: file.type, contentUrl: url, name: file.name };
  const fileType = file.name.includes(".") ? file.name.split(".").at(-1).toLowerCase() : "";
  return { contentType: RECEIVED, contentUrl: url, name: file.name, content: { downloadUrl: url, uniqueId: kept.id, fileType } };
}

async function place(name) {
  const kept = await postJson("/demo/files", { name });
  const url = location.origin + kept.path;
  const fileType = name.includes(".") ? name.split(".").at(-1).toLowerCase() : "";
  return { name, uploadUrl: url, contentUrl: url, uniqueId: kept.id, fileType };
}
