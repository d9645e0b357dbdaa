// The device on the wall: its screen, its keypad, its switcher. What it does is in device-client.js.

import { SimulatedDevice } from "./device-client.js";
import { clock, el, icon } from "./dom.js";
import { words } from "./texts.js";

const STORAGE = "provisioning-bot.devices";
const MAX_DEVICES = 6;
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "back"];
const LETTERS = { 2: "abc", 3: "def", 4: "ghi", 5: "jkl", 6: "mno", 7: "pqrs", 8: "tuv", 9: "wxyz" };

export class DevicePane {
  constructor(macs) {
    this.macs = macs;
    const { devices, selected } = read(macs);
    this.devices = devices.map((kept) => this.make(kept));
    this.selected = Math.min(selected, this.devices.length - 1);
    this.switcher = el("div", { class: "segmented devices", role: "group", "aria-label": words("device.switcher") });
    this.pills = el("div", { class: "pills" });
    new ResizeObserver(() => this.showSelected()).observe(this.pills); // as it does when the pane comes into sight
    this.body = this.build();
    this.node = el("section", { class: "pane device-pane", id: "pane-device", "aria-label": words("paneTitle.device") },
      el("header", { class: "pane-head" }, el("h2", {}, words("paneTitle.device")), this.switcher), this.body);
    this.select(this.selected);
    document.addEventListener("visibilitychange", () => this.watch());
    setInterval(() => { this.time.textContent = clock(); }, 10_000);
  }

  get device() {
    return this.devices[this.selected];
  }

  make(kept) {
    return new SimulatedDevice(kept, (device) => {
      this.save();
      if (this.body && device === this.device) this.draw();
    });
  }

  build() {
    this.led = el("span", { class: "led", "aria-hidden": "true" });
    this.time = el("span", {}, clock());
    this.state = el("span", { class: "device-state" });
    this.view = el("div", { class: "device-view" });
    this.note = el("p", { class: "device-note", role: "status", "aria-live": "polite" });
    this.panel = el("div", { class: "device-screen" }, el("div", { class: "device-bar" }, this.time, this.state), el("div", { class: "device-middle" }, this.view, this.note));
    this.enterForm = this.buildForm();
    this.reset = el("button", { type: "button", class: "reset-button", onclick: () => this.askReset() }, words("device.reset"));
    const top = el("div", { class: "device-top", "aria-hidden": "true" }, el("span", { class: "grille" }), this.led);
    return el("div", { class: "device" }, top, this.panel, this.buildKeypad(), this.reset);
  }

  buildForm() {
    this.mac = el("input", { id: "device-mac", class: "device-input mac", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: 40 });
    this.mac.addEventListener("input", () => { this.device.kept.mac = this.mac.value; this.save(); this.drawSwitcher(); });
    this.code = el("input", { id: "device-code", class: "device-input code", inputmode: "numeric", autocomplete: "off", maxlength: 32, placeholder: "0000 0000 0000" });
    this.code.addEventListener("input", () => this.typed(this.code.value));
    const form = el("form", { class: "device-form", novalidate: true },
      el("label", { for: "device-mac" }, words("device.mac")), this.mac, el("label", { for: "device-code" }, words("device.codeHint")), this.code,
      el("button", { type: "submit", class: "provision-button" }, words("device.provision")));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.device.provision(); });
    return form;
  }

  buildKeypad() {
    return el("div", { class: "keypad", role: "group", "aria-label": words("device.keypad") }, KEYS.map((key) => {
      if (key === "back") return el("button", { type: "button", class: "key", "aria-label": words("device.erase"), onclick: () => this.typed(this.device.code.slice(0, -1)) }, icon("back"));
      const sub = LETTERS[key] ? el("small", { "aria-hidden": "true" }, LETTERS[key]) : null;
      return el("button", { type: "button", class: "key", onclick: () => this.pressed(key) }, key, sub);
    }));
  }

  // The first digit after a mistyped code begins a new one.
  pressed(key) {
    this.typed(this.device.mistyped ? key : this.device.code + key);
  }

  typed(text) {
    const { device } = this;
    if (device.screen !== "enter" || device.held()) return;
    device.code = text.replace(/[^\d*]/g, "").slice(0, 24);
    device.message = "";
    device.mistyped = false;
    this.draw();
  }

  select(index) {
    this.selected = index;
    this.watch();
    this.disarm();
    this.save();
    this.draw();
  }

  // Only the device in sight holds a line open: a browser has six for all its tabs together.
  watch() {
    this.devices.forEach((device, at) => device.watch(at === this.selected && !document.hidden));
  }

  add() {
    const used = new Set(this.devices.map((device) => device.kept.mac));
    const mac = this.macs.find((each) => !used.has(each)) ?? randomMac();
    this.devices.push(this.make({ mac }));
    this.select(this.devices.length - 1);
  }

  remove() {
    const [gone] = this.devices.splice(this.selected, 1);
    gone.stop();
    this.select(Math.max(0, this.selected - 1));
  }

  askReset() {
    if (this.armed) {
      this.disarm();
      this.device.factoryReset();
      return;
    }
    this.armed = setTimeout(() => this.disarm(), 4_000);
    this.reset.textContent = words("device.resetAgain");
    this.reset.classList.add("armed");
  }

  disarm() {
    clearTimeout(this.armed);
    this.armed = 0;
    this.reset.textContent = words("device.reset");
    this.reset.classList.remove("armed");
  }

  draw() {
    const { device } = this;
    this.body.dataset.screen = device.screen;
    this.state.textContent = words(`state.${device.screen}`) || device.screen;
    const news = device.message && device.message !== this.note.textContent;
    this.note.textContent = device.message;
    this.note.hidden = !device.message;
    this.drawView(device);
    if (news) this.panel.scrollTop = this.panel.scrollHeight;
    this.drawSwitcher();
  }

  drawView(device) {
    const entering = device.screen === "enter" || device.screen === "busy";
    if (!entering) { this.view.replaceChildren(...face(device)); return; }
    if (this.enterForm.parentNode !== this.view) this.view.replaceChildren(this.enterForm);
    const busy = device.screen === "busy";
    const button = this.enterForm.lastElementChild;
    button.textContent = busy ? words("device.checking") : words("device.provision");
    button.setAttribute("aria-disabled", String(busy || device.held()));
    this.mac.readOnly = this.code.readOnly = busy;
    if (this.mac.value !== device.kept.mac) this.mac.value = device.kept.mac;
    const grouped = group(device.code);
    if (this.code.value !== grouped) this.code.value = grouped;
  }

  drawSwitcher() {
    const names = this.devices.map((device) => tail(device.kept.mac)).join();
    const key = `${names}|${this.selected}`;
    if (this.switcherKey === key) return;
    this.switcherKey = key;
    const hadFocus = this.switcher.contains(document.activeElement);
    const buttons = this.devices.map((device, index) => el("button", {
      type: "button", "aria-pressed": String(index === this.selected), "aria-label": words("device.one", { tail: tail(device.kept.mac) }), onclick: () => this.select(index),
    }, tail(device.kept.mac)));
    const more = this.devices.length < MAX_DEVICES && el("button", { type: "button", "aria-label": words("device.add"), title: words("device.add"), onclick: () => this.add() }, icon("plus"));
    const less = this.devices.length > 1 && el("button", { type: "button", "aria-label": words("device.remove"), title: words("device.remove"), onclick: () => this.remove() }, icon("close"));
    this.pills.replaceChildren(...buttons);
    this.switcher.replaceChildren(...[this.pills, more, less].filter(Boolean));
    this.showSelected();
    if (hadFocus) buttons[this.selected].focus();
  }

  // Many devices slide within their place; the one in use stays in sight.
  showSelected() {
    const { offsetLeft, offsetWidth } = this.pills.children[this.selected];
    this.pills.scrollLeft = offsetLeft - (this.pills.clientWidth - offsetWidth) / 2;
  }

  save() {
    if (!this.devices) return;
    const devices = this.devices.map((device) => device.kept);
    localStorage.setItem(STORAGE, JSON.stringify({ devices, selected: this.selected }));
  }
}

// What the screen shows when no code is asked for.
function face(device) {
  const { kept, screen } = device;
  if (screen === "boot") return [el("div", { class: "face boot" }, el("span", { class: "spinner", "aria-hidden": "true" }), el("span", {}, words("device.starting")))];
  if (screen === "reset") return [el("div", { class: "face alarm" }, el("strong", {}, words("device.resetNeeded")), el("span", { class: "mac" }, kept.mac))];
  const lines = { waiting_for_sign_in: words("device.waiting"), signed_in: kept.account || words("device.signedIn"), signed_out: words("device.signedOut") };
  return [el("div", { class: `face ${screen}` },
    el("span", { class: "badge", "aria-hidden": "true" }, icon(screen === "signed_in" ? "check" : "person")),
    el("strong", { class: "tenant" }, kept.tenant),
    el("span", { class: "wait-line" }, lines[screen] ?? (words(`state.${screen}`) || screen)),
    kept.location ? el("span", { class: "where" }, kept.location) : null,
    el("span", { class: "mac" }, kept.mac))];
}

const group = (code) => (/^\d+$/.test(code) ? code.replace(/(\d{4})(?=\d)/g, "$1 ") : code);

function tail(mac) {
  const digits = mac.replace(/[^0-9a-f]/gi, "").toUpperCase();
  return digits.length >= 4 ? `${digits.slice(-4, -2)}:${digits.slice(-2)}` : "?";
}

function randomMac() {
  const bytes = [0x80, 0x5e, 0xc0, ...crypto.getRandomValues(new Uint8Array(3))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join("-");
}

function read(macs) {
  try {
    const kept = JSON.parse(localStorage.getItem(STORAGE));
    if (Array.isArray(kept?.devices) && kept.devices.length) return { selected: 0, ...kept, devices: kept.devices.slice(0, MAX_DEVICES) };
  } catch {
    // nothing usable was kept
  }
  return { devices: [{ mac: macs[0] }], selected: 0 };
}
