// Files in a chat: one that was sent, one that the bot offers, one that it put. And how a person adds one.

import { el, icon } from "./dom.js";
import { safeUrl } from "./links.js";
import { words } from "./texts.js";

const SENT = "application/vnd.microsoft.teams.file.download.info";
const OFFERED = "application/vnd.microsoft.teams.card.file.consent";
const PUT = "application/vnd.microsoft.teams.card.file.info";
const TAKEN = "image/*";
export const INLINE = /^data:image\/(jpeg|png);base64,/;
const BYTES = { "Content-Type": "application/octet-stream" };
const THUMBNAIL_PX = 320; // of its longer side, which keeps a message far below the size that Teams takes
const UNITS = ["byte", "kilobyte", "megabyte"];

const NODES = { [SENT]: sentFile, [TAKEN]: sentFile, [OFFERED]: offeredFile, [PUT]: putFile };

// The node of a file's attachment; null for any other attachment.
export function fileNode(message, attachment, desk) {
  if (INLINE.test(attachment?.contentUrl ?? "")) return picture(attachment);
  return NODES[attachment?.contentType]?.(attachment, message, desk) ?? null;
}

// One that stands in the message itself; its name says what it shows.
function picture({ name, contentUrl }) {
  return el("img", { class: "picture", src: contentUrl, alt: String(name ?? "") });
}

function sentFile({ name, size }) {
  return fileCard(name, size);
}

function offeredFile(attachment, message, desk) {
  const { description, sizeInBytes } = attachment.content ?? {};
  const decided = desk.decided.get(message.id);
  if (decided) return fileCard(attachment.name, sizeInBytes, el("div", { class: "file-note", role: "status" }, words(`file.${decided}`)));
  const button = (style, text, accepted) => el("button", {
    type: "button", class: `action ${style}`, onclick: () => desk.decide(message, attachment, accepted),
  }, text);
  return fileCard(attachment.name, sizeInBytes, description ? el("div", { class: "file-note" }, description) : null,
    el("div", { class: "actions" }, button("positive", words("file.allow"), true), button("default", words("file.decline"), false)));
}

function putFile({ name, contentUrl }) {
  const href = safeUrl(contentUrl);
  if (!href) return fileCard(name);
  return fileCard(name, 0, el("a", { class: "action file-link", href, download: name, rel: "noopener noreferrer" }, icon("download"), words("file.download")));
}

function fileCard(name, size, ...more) {
  const head = el("div", { class: "file-head" }, el("span", { class: "file-icon" }, icon("file")),
    el("div", { class: "file-names" }, el("span", { class: "file-name" }, String(name ?? "")), size ? el("span", { class: "file-size" }, measure(size)) : null));
  return el("div", { class: "card-frame file-card" }, head, ...more);
}

function measure(bytes) {
  const step = bytes < 1024 ? 0 : bytes < 1024 * 1024 ? 1 : 2;
  const number = { style: "unit", unit: UNITS[step], unitDisplay: "short", maximumFractionDigits: step === 2 ? 1 : 0 };
  return new Intl.NumberFormat(document.documentElement.lang || "en", number).format(bytes / 1024 ** step);
}

// Hands a file to the store of local mode: what Teams attaches to the message then.
export async function store(file, taken = false) {
  const answer = await fetch(`/demo/files?name=${encodeURIComponent(file.name)}${taken ? "&picture" : ""}`, { method: "POST", headers: BYTES, body: file });
  if (answer.status === 413) return null;
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

// A small picture of a picture, for the chat to show and keep; empty for what the browser cannot draw.
export async function thumbnail(file) {
  const picture = file.type.startsWith("image/") && await createImageBitmap(file).catch(() => null);
  if (!picture) return "";
  const scale = Math.min(1, THUMBNAIL_PX / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = el("canvas", { width, height });
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
  picture.close();
  return canvas.toDataURL("image/jpeg", 0.75);
}

// The buttons beside the text, each with the chooser behind it: one for any file, one that opens a phone's camera.
export function attachButton(onFile) {
  return chooserButton({ class: "file-chooser" }, "attach", words("file.attach"), onFile);
}

export function cameraButton(onPicture) {
  return chooserButton({ class: "picture-chooser", accept: "image/*", capture: "environment" }, "camera", words("picture.take"), onPicture);
}

function chooserButton(kind, name, label, onFile) {
  const chooser = el("input", { type: "file", ...kind, tabindex: "-1", "aria-hidden": "true", hidden: true });
  chooser.addEventListener("change", () => {
    const [file] = chooser.files;
    chooser.value = "";
    if (file) onFile(file);
  });
  const button = el("button", {
    type: "button", class: "icon-button attach", "aria-label": label, title: label, onclick: () => chooser.click(),
  }, icon(name));
  return [button, chooser];
}

// A file that is dropped anywhere on the node is sent.
export function dropTarget(node, onFile) {
  const veil = el("div", { class: "drop-veil", "aria-hidden": "true" }, icon("attach"), words("file.drop"));
  node.append(veil);
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const mark = (change) => { depth = Math.max(0, depth + change); node.classList.toggle("dropping", depth > 0); };
  node.addEventListener("dragenter", (event) => { if (holds(event)) { event.preventDefault(); mark(1); } });
  node.addEventListener("dragover", (event) => { if (holds(event)) event.preventDefault(); });
  node.addEventListener("dragleave", (event) => { if (holds(event)) mark(-1); });
  node.addEventListener("drop", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    mark(-depth);
    for (const file of event.dataTransfer.files) onFile(file);
  });
}
