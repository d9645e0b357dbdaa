// The page's texts, as the service told them in the reader's language; bot/demo/page_texts.py has them all.

let table = {};

export function learn(texts) {
  table = texts;
}

// The text with this key, its {places} filled; empty where there is none.
export function words(key, values = {}) {
  return (table[key] ?? "").replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}
