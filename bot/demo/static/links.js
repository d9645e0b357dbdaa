// Which addresses a card or a message may open.

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

export function safeUrl(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  if (url.protocol === "https:") return url.href;
  return url.protocol === "http:" && LOOPBACK.test(url.hostname) ? url.href : null;
}

export function openUrl(text) {
  const url = safeUrl(text);
  if (url) window.open(url, "_blank", "noopener,noreferrer");
  return url !== null;
}
