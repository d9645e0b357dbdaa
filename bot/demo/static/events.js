// The line on which the page hears of every change; it reconnects by itself, ever more slowly.

const KINDS = ["snapshot", "message", "update", "delete", "typing"];
const FIRST_MS = 800;
const LONGEST_MS = 20_000;

export function listen(onEvent, onState) {
  let lastId = "";
  let delay = FIRST_MS;

  const open = () => {
    const source = new EventSource(`/demo/events${lastId ? `?since=${encodeURIComponent(lastId)}` : ""}`);
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (event.lastEventId) lastId = event.lastEventId;
        onEvent(kind, JSON.parse(event.data));
      });
    }
    source.addEventListener("open", () => { delay = FIRST_MS; onState(true); });
    source.addEventListener("error", () => {
      source.close();
      onState(false);
      setTimeout(open, delay * (0.75 + Math.random() / 2));
      delay = Math.min(delay * 2, LONGEST_MS);
    });
  };
  open();
}
