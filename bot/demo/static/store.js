// All messages the page knows, by conversation, and the cards that only one reader sees.

const VIEWS_KEY = "provisioning-bot.views";
const MAX_VIEWS = 60;

export class Store extends EventTarget {
  constructor() {
    super();
    this.boot = "";
    this.conversations = new Map();
    this.views = new Map(read());
  }

  apply(kind, data) {
    if (kind === "snapshot") this.reset(data);
    else if (kind === "delete") this.messages(data.conversation).delete(data.id);
    else if (kind !== "typing") this.messages(data.conversation).set(data.id, data);
    this.dispatchEvent(new CustomEvent("change", { detail: { kind, data } }));
  }

  reset({ boot, conversations }) {
    this.boot = boot;
    this.conversations = new Map();
    for (const [id, messages] of Object.entries(conversations)) {
      this.conversations.set(id, new Map(messages.map((message) => [message.id, message])));
    }
  }

  messages(conversation) {
    if (!this.conversations.has(conversation)) this.conversations.set(conversation, new Map());
    return this.conversations.get(conversation);
  }

  sorted(conversation) {
    return [...this.messages(conversation).values()].sort((a, b) => Number(a.id) - Number(b.id));
  }

  // The card that an answer put in place for this reader, until the message itself changes.
  view(message, reader) {
    const view = this.views.get(`${this.boot} ${message.id} ${reader}`);
    return view?.version === message.version ? view.card : null;
  }

  setView(message, reader, card) {
    const key = `${this.boot} ${message.id} ${reader}`;
    this.views.delete(key);
    this.views.set(key, { version: message.version, card });
    while (this.views.size > MAX_VIEWS) this.views.delete(this.views.keys().next().value);
    write([...this.views]);
  }
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(VIEWS_KEY) ?? "[]");
  } catch {
    return [];
  }
}

function write(views) {
  try {
    sessionStorage.setItem(VIEWS_KEY, JSON.stringify(views));
  } catch {
    // a full storage only costs these cards at the next reload
  }
}
