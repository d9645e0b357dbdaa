// The reader's language: the one they chose here, else what their browser asks for. The bot is told the same.

import { el } from "./dom.js";

const KEY = "provisioning-bot.language";

function chosen() {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

// What the browser asks for, without a choice of one's own.
export function locale() {
  return chosen() || navigator.language || "en-US";
}

// Where the page's texts are told in the language that was chosen.
export function inLanguage(path) {
  return chosen() ? `${path}?lang=${encodeURIComponent(chosen())}` : path;
}

// Lists the languages by their own names; the page starts anew in the one that is chosen.
export function languageList(languages, current, name) {
  const options = languages.map(({ tag, name: own }) => el("option", { value: tag, lang: tag, selected: tag === current }, own));
  return el("select", { class: "languages", "aria-label": name, onchange: (event) => change(event.target.value) }, options);
}

function change(tag) {
  try {
    localStorage.setItem(KEY, tag);
  } finally {
    location.reload();
  }
}
