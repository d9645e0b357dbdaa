// What was chosen on the page and stays so when it starts anew: whose phone it is, who posts, which pane is in sight.

const KEY = "provisioning-bot.chosen";

// The choice that was kept, while there still is such a thing; else the first one.
export function chosen(what, among) {
  const kept = read()[what];
  return among.includes(kept) ? kept : among[0];
}

export function choose(what, id) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ...read(), [what]: id }));
  } catch {
    // a full storage only costs the choice at the next reload
  }
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
