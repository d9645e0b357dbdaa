// Puts the page together: two phones, a channel, a device, and on a small screen the tabs between them.

import { BotLine } from "./activities.js";
import { ChannelPane } from "./channel.js";
import { choose, chosen } from "./choices.js";
import { DevicePane } from "./device.js";
import { el, icon } from "./dom.js";
import { listen } from "./events.js";
import { inLanguage, languageList } from "./language.js";
import { PhonePane } from "./phone.js";
import { Store } from "./store.js";
import { learn, words } from "./texts.js";

const TABS = [["admin", "shield"], ["technician", "tool"], ["channel", "channel"], ["device", "device"]];

async function start() {
  const config = await (await fetch(inLanguage("/demo/config.json"))).json();
  learn(config.texts);
  label(config.locale);
  document.querySelector(".top").append(languageList(config.languages, config.locale, words("language")));
  const store = new Store();
  const line = new BotLine(config);
  const admins = config.people.filter((person) => person.role === "admin");
  const others = config.people.filter((person) => person.role !== "admin");
  const team = config.people.filter((person) => person.role);
  const panes = {
    admin: new PhonePane({ id: "admin", people: admins.slice(0, 1), line, store }),
    technician: new PhonePane({ id: "technician", people: others, line, store }),
    channel: new ChannelPane({ people: team, line, store }),
    device: new DevicePane(config.deviceMacs),
  };
  document.getElementById("panes").replaceChildren(...Object.values(panes).map((pane) => pane.node));
  document.getElementById("organisation").textContent = config.organisation;
  buildTabs(panes);
  listen((kind, data) => store.apply(kind, data), (up) => { document.getElementById("lost").hidden = up; });
}

// One pane at a time on a small screen; CSS decides when that is.
function buildTabs(panes) {
  const bar = document.getElementById("tabs");
  const show = (id) => {
    document.body.dataset.pane = id;
    choose("pane", id);
    for (const tab of bar.children) {
      const here = tab.dataset.pane === id;
      tab.setAttribute("aria-pressed", String(here));
      if (here) count(tab, 0);
    }
    panes[id].log?.toEnd();
  };
  for (const [id, iconName] of TABS) {
    const tab = el("button", { type: "button", class: "tab", "data-pane": id, "aria-pressed": "false", onclick: () => show(id) },
      icon(iconName), el("span", {}, words(`pane.${id}`)), el("span", { class: "unread", hidden: true }));
    bar.append(tab);
    panes[id].addEventListener?.("news", () => { if (document.body.dataset.pane !== id) count(tab, Number(tab.dataset.unread ?? 0) + 1); });
  }
  show(chosen("pane", TABS.map(([id]) => id)));
}

function count(tab, unread) {
  tab.dataset.unread = String(unread);
  const badge = tab.lastElementChild;
  badge.hidden = unread === 0;
  badge.textContent = unread > 9 ? "9+" : String(unread);
  badge.setAttribute("aria-label", words("unread", { count: unread }));
}

function label(locale) {
  document.documentElement.lang = locale;
  document.title = words("product");
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = words(node.dataset.text);
}

start();
