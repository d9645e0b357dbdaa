// What Teams would send to the bot, and the one call that sends it.

import { locale } from "./language.js";

const TIMEOUT_MS = 20_000;
const JSON_HEADERS = { "Content-Type": "application/json" };

export class BotLine {
  constructor(config) {
    this.config = config;
    this.serviceUrl = location.origin + config.servicePath;
  }

  // place: {person, conversation, channel: true|false, root: id of the post or ""}
  envelope(type, place, more = {}) {
    const now = new Date();
    const { person } = place;
    return {
      type,
      id: `f:${crypto.randomUUID()}`,
      timestamp: now.toISOString(),
      localTimestamp: now.toISOString(),
      localTimezone: timezone(),
      channelId: "msteams",
      serviceUrl: this.serviceUrl,
      from: { id: person.id, name: person.name, aadObjectId: person.aadObjectId },
      recipient: { ...this.config.bot },
      conversation: this.conversation(place),
      channelData: this.channelData(place),
      entities: [clientInfo()],
      locale: navigator.language,
      ...more,
    };
  }

  conversation(place) {
    const common = { tenantId: this.config.tenantId };
    if (!place.channel) return { id: place.conversation, conversationType: "personal", ...common };
    const id = place.root ? `${place.conversation};messageid=${place.root}` : place.conversation;
    return { id, conversationType: "channel", isGroup: true, ...common };
  }

  channelData(place) {
    const tenant = { id: this.config.tenantId };
    if (!place.channel) return { tenant };
    const { team, channel } = this.config;
    return { tenant, team: { ...team }, channel: { id: channel.id }, teamsTeamId: team.id, teamsChannelId: channel.id };
  }

  message(place, { id, text = "" }, mention, attachments = []) {
    const activity = this.envelope("message", place, { id, text, textFormat: "plain", ...(attachments.length ? { attachments } : {}) });
    if (mention) {
      const name = this.config.bot.name;
      activity.text = `<at>${name}</at> ${text}`;
      activity.entities.push({ type: "mention", mentioned: { ...this.config.bot }, text: `<at>${name}</at>` });
    }
    return activity;
  }

  // What Teams tells once somebody took (upload: where it goes) or declined an offered file.
  consent(place, replyToId, context, upload) {
    const value = { type: "fileUpload", action: upload ? "accept" : "decline", context, ...(upload ? { uploadInfo: upload } : {}) };
    return this.envelope("invoke", place, { name: "fileConsent/invoke", replyToId, value });
  }

  submit(place, replyToId, value) {
    return this.envelope("message", place, { replyToId, value });
  }

  execute(place, replyToId, action, data, trigger) {
    const value = { action: { type: "Action.Execute", id: action.id, verb: action.verb, data }, trigger };
    return this.envelope("invoke", place, { name: "adaptiveCard/action", replyToId, value });
  }

  // What Teams sends when somebody installs the app, or adds it to a team.
  installed(place) {
    const { bot } = this.config;
    const added = this.envelope("conversationUpdate", place, { membersAdded: [{ ...bot }] });
    if (place.channel) added.channelData = { ...added.channelData, eventType: "teamMemberAdded" };
    const installed = this.envelope("installationUpdate", place, { action: "add" });
    return [added, installed];
  }

  // → {ok, status, body}; status 0 when no answer came.
  async send(activity) {
    try {
      const response = await fetch("/api/messages", {
        method: "POST", headers: JSON_HEADERS, body: JSON.stringify(activity), signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const body = await response.json().catch(() => null);
      return { ok: response.ok, status: response.status, body };
    } catch {
      return { ok: false, status: 0, body: null };
    }
  }
}

export async function postJson(path, body) {
  const response = await fetch(path, { method: "POST", headers: JSON_HEADERS, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function timezone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function clientInfo() {
  const told = locale();
  const country = new Intl.Locale(told).maximize().region;
  return { type: "clientInfo", locale: told, country, platform: "Web", timezone: timezone() };
}
