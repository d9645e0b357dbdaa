// One message of a chat or a channel as a page node.

import { renderCard } from "./cards.js";
import { avatar, clock, el } from "./dom.js";
import { fileNode } from "./files.js";
import { openUrl } from "./links.js";
import { markdown, plain } from "./markdown.js";
import { words } from "./texts.js";

const CARD = "application/vnd.microsoft.card.adaptive";

// desk: {me, bot, view(message), hooks(message), say(text), retry(message), decided, decide(message, attachment, accepted)}
export function messageNode(message, desk, { showAuthor = true } = {}) {
  const isBot = message.from.id === desk.bot.id;
  const isMine = message.from.id === desk.me && !desk.isChannel;
  const node = el("article", {
    class: `message ${isMine ? "mine" : isBot ? "from-bot" : "from-other"}${showAuthor ? "" : " follows"}`,
    "data-id": message.id, tabindex: "-1",
    "aria-label": `${isMine ? words("you") : message.from.name}, ${clock(message.at)}`,
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
    message.edited ? el("span", { class: "edited" }, words("edited")) : null);
}

function contents(message, desk, isBot) {
  const out = [];
  const text = String(message.text ?? "");
  if (text) out.push(el("div", { class: "bubble" }, said(message, text, desk, isBot)));
  for (const attachment of message.attachments ?? []) out.push(attachmentNode(message, attachment, desk));
  const chips = message.suggestedActions?.actions ?? [];
  if (chips.length) out.push(suggested(chips, desk));
  return out;
}

function said(message, text, desk, isBot) {
  if (isBot) return mentioned(message.textFormat === "plain" ? plain(text) : markdown(text, { breaks: true }), message);
  const out = document.createDocumentFragment();
  if (desk.isChannel) out.append(el("span", { class: "mention" }, `@${desk.bot.name}`), " ");
  out.append(plain(text));
  return out;
}

// Each mention that comes with the text takes the place of its `<at>name</at>`; any other such mark stays as it was typed.
function mentioned(node, message) {
  for (const entity of message.entities ?? []) {
    if (entity?.type !== "mention" || !entity.text) continue;
    const texts = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const at = texts.currentNode.data.indexOf(entity.text);
      if (at < 0) continue;
      const mark = texts.currentNode.splitText(at);
      mark.splitText(entity.text.length);
      mark.replaceWith(el("span", { class: "mention" }, `@${entity.mentioned?.name ?? ""}`));
      break;
    }
  }
  return node;
}

function attachmentNode(message, attachment, desk) {
  const { contentType, content, name } = attachment ?? {};
  if (contentType === CARD) return cardNode(message, content, desk);
  const file = fileNode(message, attachment, desk);
  if (file) return file;
  return el("div", { class: "bubble" }, words("attachment", { name: String(name || contentType || "") }));
}

function cardNode(message, card, desk) {
  const hooks = desk.hooks(message);
  return el("div", { class: "card-frame" }, renderCard(desk.view(message) ?? card, hooks));
}

function suggested(chips, desk) {
  const press = (chip) => () => (chip.type === "openUrl" ? openUrl(chip.value) : desk.say(String(chip.value ?? chip.title)));
  return el("div", { class: "chips" }, chips.map((chip) =>
    el("button", { type: "button", class: "chip", onclick: press(chip) }, chip.title ?? String(chip.value))));
}

function failure(message, desk) {
  const again = el("button", { type: "button", class: "link", onclick: () => desk.retry(message) }, words("tryAgain"));
  return el("div", { class: "failed", role: "alert" }, words("notDelivered"), " ", again);
}
