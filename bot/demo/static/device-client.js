// One simulated device: it talks to the real device API as hardware would, and remembers itself.

import { wait } from "./dom.js";
import { words } from "./texts.js";

const API = "/api/v1";
const JSON_HEADERS = { "Content-Type": "application/json" };
const BOOT_MS = 1_200;
const POLL_SECONDS = 25;
const QUIET_PAUSE_MS = 10_000;
const NEWS_MS = 8_000;
const OUTCOMES = {
  sign_out: () => ({ status: "done" }),
  restart: () => ({ status: "done", detail: words("device.upAgain") }),
  diagnostics: () => ({ status: "done", detail: words("device.note", { minutes: Math.round(performance.now() / 60_000) }) }),
};

export class SimulatedDevice {
  constructor(kept, changed) {
    this.kept = { token: "", state: "waiting_for_activation", tenant: "", location: "", account: "", ...kept };
    this.changed = changed;
    this.screen = "boot";
    this.message = "";
    this.code = "";
    this.mistyped = false;
    this.keyFor = { code: "", key: "" };
    this.holdUntil = 0;
    this.newsUntil = 0;
    this.watched = false;
    this.boot();
  }

  async boot() {
    this.show("boot");
    await wait(BOOT_MS);
    if (this.screen !== "boot") return;
    this.show(this.kept.token ? this.kept.state : "enter", this.message);
    if (this.kept.token) this.follow();
  }

  show(screen, message = "") {
    this.screen = screen;
    this.message = message;
    this.changed(this);
  }

  // One key per entered code, so that a lost answer can be asked for again.
  idempotencyKey() {
    if (this.keyFor.code !== this.code || !this.keyFor.key) {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      const key = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      this.keyFor = { code: this.code, key };
    }
    return this.keyFor.key;
  }

  async provision() {
    if (this.screen === "busy" || this.held()) return;
    if (!this.kept.mac.trim()) { this.show("enter", words("device.needMac")); return; }
    if (!this.code) { this.show("enter", words("device.needCode")); return; }
    this.show("busy");
    const headers = { ...JSON_HEADERS, "Idempotency-Key": this.idempotencyKey() };
    if (this.kept.token) headers.Authorization = `Bearer ${this.kept.token}`;
    const answer = await call("POST", "/provision", { headers, body: JSON.stringify({ mac: this.kept.mac, code: this.code, type: "phone" }) });
    if (answer.status === 200) this.provisioned(answer.body);
    else this.refused(answer);
  }

  provisioned({ tenant, device, token }) {
    Object.assign(this.kept, { token, mac: dashed(device.mac), state: device.state, tenant: tenant.name, location: device.location ?? "", account: "" });
    delete this.kept.revision;
    this.forgetCode();
    this.show(device.state);
    this.follow();
  }

  refused(answer) {
    if (answer.status === 0) { this.show("enter", words("device.noAnswer")); return; }
    if (answer.status === 429) { this.hold(answer.retryAfter); return; }
    const reset = answer.body?.code === "reset_required";
    this.mistyped = answer.body?.code === "invalid_code";
    if (answer.status !== 422) this.forgetCode();
    this.show(reset ? "reset" : "enter", sentence(answer));
  }

  forgetCode() {
    this.code = "";
    this.keyFor = { code: "", key: "" };
  }

  held() {
    return Date.now() < this.holdUntil;
  }

  hold(seconds) {
    this.holdUntil = Date.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((this.holdUntil - Date.now()) / 1000);
      if (this.screen !== "enter" && this.screen !== "busy") return;
      this.show("enter", left > 0 ? words("device.slowDown", { seconds: left }) : "");
      if (left > 0) setTimeout(tick, 500);
    };
    tick();
  }

  // The long poll: it is also the heartbeat. Only the device in sight waits on the line; a browser has few lines.
  async follow() {
    this.line?.abort();
    const line = new AbortController();
    this.line = line;
    let pause = 1_000;
    while (this.kept.token && !line.signal.aborted) {
      const began = Date.now();
      const answer = await this.ask(line.signal);
      if (line.signal.aborted) return;
      if (answer.status === 200) {
        pause = 1_000;
        await this.heard(answer.body);
        const tooQuick = this.watched && Date.now() - began < 400;
        if (tooQuick || !this.watched) await wait(this.watched ? 400 : QUIET_PAUSE_MS);
      } else if (answer.status === 401) { this.lostToken(answer); return; } else {
        this.show(this.screen, answer.status === 0 ? words("device.noService") : sentence(answer));
        await wait(answer.status === 429 ? answer.retryAfter * 1000 : pause);
        pause = Math.min(pause * 2, 20_000);
      }
    }
  }

  ask(signal) {
    const query = new URLSearchParams({ wait: String(this.watched && this.kept.revision !== undefined ? POLL_SECONDS : 0) });
    if (this.kept.revision !== undefined) query.set("since", String(this.kept.revision));
    return call("GET", `/device?${query}`, { headers: this.bearer(), signal });
  }

  async heard(body) {
    const { revision, state, tenant, location, account, commands } = body;
    Object.assign(this.kept, { revision, state, location: location ?? "", account: account ?? "" });
    if (tenant) this.kept.tenant = tenant.name ?? tenant;
    this.show(state, Date.now() < this.newsUntil ? this.message : "");
    for (const command of commands ?? []) await this.carryOut(command);
  }

  // What an admin asked for from afar. The service hears what came of it, and asks again until it does.
  async carryOut({ id, name }) {
    const outcome = OUTCOMES[name]?.() ?? { status: "failed", detail: words("device.unknownCommand") };
    if (name === "restart") {
      this.show("boot");
      await wait(BOOT_MS);
      if (!this.kept.token) return; // it was reset meanwhile
    }
    this.newsUntil = Date.now() + NEWS_MS;
    this.show(this.kept.state, words(`did.${name in OUTCOMES ? name : "unknown"}`));
    await call("POST", `/device/commands/${encodeURIComponent(id)}`, { headers: { ...JSON_HEADERS, ...this.bearer() }, body: JSON.stringify(outcome) });
  }

  lostToken(answer) {
    const demanded = answer.body?.code === "reset_required";
    this.show("reset", demanded ? words("device.resetWhy") : words("device.refused"));
  }

  // On request of a person standing at the device.
  async factoryReset() {
    this.line?.abort();
    const headers = { ...JSON_HEADERS, ...this.bearer() };
    const answer = this.kept.token ? await call("POST", "/device/factory-reset", { headers, body: "{}" }) : { status: 204 };
    if (answer.status !== 204 && answer.status !== 401) {
      this.show(this.screen, answer.status === 0 ? words("device.noAnswer") : sentence(answer));
      this.follow();
      return;
    }
    this.forget();
    this.forgetCode();
    await this.boot();
  }

  forget() {
    Object.assign(this.kept, { token: "", state: "waiting_for_activation", tenant: "", location: "", account: "" });
    delete this.kept.revision;
  }

  watch(on) {
    if (this.watched === on) return;
    this.watched = on;
    if (this.kept.token && this.screen !== "boot" && this.screen !== "reset") this.follow();
  }

  bearer() {
    return { Authorization: `Bearer ${this.kept.token}` };
  }

  stop() {
    this.line?.abort();
  }
}

// As labels print it, whatever the service calls it.
function dashed(mac) {
  return mac.replace(/[^0-9a-f]/gi, "").toUpperCase().match(/../g)?.join("-") ?? mac;
}

function sentence(answer) {
  const { code, detail, title } = answer.body ?? {};
  return detail || words(`problem.${code}`) || title || words("device.answered", { status: answer.status });
}

async function call(method, path, options) {
  try {
    const response = await fetch(API + path, { method, cache: "no-store", ...options });
    const body = await response.json().catch(() => null);
    return { status: response.status, body, retryAfter: Number(response.headers.get("Retry-After")) || 2 };
  } catch {
    return { status: 0, body: null, retryAfter: 2 };
  }
}
