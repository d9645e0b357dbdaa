// One message of a chat or a channel as a page node.

import { renderCard } from "./cards.js";
import { avatar, clock, el, icon } from "./dom.js";
import { openUrl, safeUrl } from "./links.js";
import { markdown, plain } from "./markdown.js";
import { TEXT } from "./texts.js";

const CARD = "application/vnd.microsoft.card.adaptive";
const CONSENT = "application/vnd.microsoft.teams.card.file.consent";
const INFO = "application/vnd.microsoft.teams.card.file.info";
const RECEIVED = "application/vnd.microsoft.teams.file.download.info";

// desk: {me, bot, view(message), hooks(message), consent(message, attachment, accept), say(text), retry(message)}
export function messageNode(message, desk, { showAuthor = true } = {}) {
  const isBot = message.from.id === desk.bot.id;
  const isMine = message.from.id === desk.me && !desk.isChannel;
  const node = el("article", {
    class: `message ${isMine ? "mine" : isBot ? "from-bot" : "from-other"}${showAuthor ? "" : " follows"}`,
    "data-id": message.id, tabindex: "-1",
    "aria-label": `${isMine ? TEXT.you : message.from.name}, ${clock(message.at)}`,
  });
  if (!isMine) node.append(showAuthor ? avatar(message.from.name, isBot ? "bot" : "") : el("span", { class: "avatar none" }));
  const body = el("div", { class: "message-body" });
  if (showAuthor) body.append(byline(message, isMine));
  body.append(...contents(message, desk, isBot));
  if (message.failed) body.append(failure(message, desk));
  node.append(body);
  return node;
}

function byline(message, isMine) {
  return el("div", { class: "byline" },
    isMine ? null : el("span", { class: "author" }, message.from.name),
    el("time", { datetime: message.at }, clock(message.at)),
    message.edited ? el("span", { class: "edited" }, TEXT.edited) : null);
}

function contents(message, desk, isBot) {
  const out = [];
  const text = String(message.text ?? "");
  if (text) out.push(el("div", { class: "bubble" }, said(message, text, desk, isBot)));
  for (const attachment of message.attachments ?? []) {
    const node = attachmentNode(message, attachment, desk);
    if (node) out.push(node);
  }
  const chips = message.suggestedActions?.actions ?? [];
  if (chips.length) out.push(suggested(chips, desk));
  return out;
}

function said(message, text, desk, isBot) {
  if (isBot) return message.textFormat === "plain" ? plain(text) : markdown(text, { breaks: true });
  const out = document.createDocumentFragment();
  if (desk.isChannel) out.append(el("span", { class: "mention" }, `@${desk.bot.name}`), " ");
  out.append(plain(text));
  return out;
}

function attachmentNode(message, attachment, desk) {
  const type = String(attachment?.contentType ?? "");
  if (type === CARD) return cardNode(message, attachment.content, desk);
  if (type === CONSENT) return consentNode(message, attachment, desk);
  if (type === INFO || type === RECEIVED) return fileNode(attachment);
  if (type.startsWith("image/")) return pictureNode(attachment);
  return el("div", { class: "bubble file" }, icon("file"), TEXT.attachment(attachment?.name ?? type));
}

function cardNode(message, card, desk) {
  const hooks = desk.hooks(message);
  return el("div", { class: "card-frame" }, renderCard(desk.view(message) ?? card, hooks));
}

function consentNode(message, attachment, desk) {
  const size = attachment.content?.sizeInBytes;
  const buttons = el("div", { class: "actions" });
  const answer = (accept) => () => {
    for (const button of buttons.children) button.disabled = true;
    desk.consent(message, attachment, accept);
  };
  buttons.append(
    el("button", { type: "button", class: "action positive", onclick: answer(true) }, TEXT.allow),
    el("button", { type: "button", class: "action default", onclick: answer(false) }, TEXT.decline));
  const description = attachment.content?.description;
  return el("div", { class: "card-frame" }, el("div", { class: "card" },
    el("div", { class: "tb weight-bolder" }, TEXT.consentAsk(attachment.name ?? "", size ? kilobytes(size) : "")),
    description ? el("div", { class: "tb subtle" }, description) : null, buttons));
}

function fileNode(attachment) {
  const url = attachment.contentUrl || attachment.content?.downloadUrl;
  const name = attachment.name ?? "";
  const href = url && safeUrl(url);
  const inner = [icon("file"), el("span", {}, name)];
  if (!href) return el("div", { class: "bubble file" }, inner);
  return el("a", { class: "bubble file", href, download: name, "aria-label": TEXT.download(name) }, inner);
}

function pictureNode(attachment) {
  const src = safeUrl(attachment.contentUrl ?? "");
  if (!src || new URL(src).origin !== location.origin) return el("div", { class: "bubble file" }, icon("file"), TEXT.attachment(attachment.name ?? TEXT.picture));
  return el("img", { class: "picture", src, alt: attachment.name ?? TEXT.picture });
}

function suggested(chips, desk) {
  const press = (chip) => () => (chip.type === "openUrl" ? openUrl(chip.value) : desk.say(String(chip.value ?? chip.title)));
  return el("div", { class: "chips" }, chips.map((chip) =>
    el("button", { type: "button", class: "chip", onclick: press(chip) }, chip.title ?? String(chip.value))));
}

function failure(message, desk) {
  const again = el("button", { type: "button", class: "link", onclick: () => desk.retry(message) }, TEXT.tryAgain);
  return el("div", { class: "failed", role: "alert" }, TEXT.notDelivered, " ", again);
}

function kilobytes(bytes) {
  return `${Math.max(1, Math.round(bytes / 1024))} KB`;
}
