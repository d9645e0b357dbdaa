// What a machine can see of whether a page can be read and pressed; test_access.py runs it in the page.

function measured(thumb) {
  return { wide: wide(), small: small(thumb), pale: pale(), stray: stray() };
}

// Whatever is wider than its place.
function wide() {
  const parts = "html, body, main, .log, .card-frame, .bubble, .screen, .channel, .device";
  return [...document.querySelectorAll(parts)]
    .filter((node) => node.checkVisibility() && node.scrollWidth > node.clientWidth + 1)
    .map((node) => `${node.tagName} ${node.className}: ${node.scrollWidth} > ${node.clientWidth}`);
}

// Whatever can be pressed and is smaller than a thumb; links within a sentence are excepted, as by WCAG 2.5.5.
function small(thumb) {
  const seen = (node) => node.checkVisibility() && node.getBoundingClientRect().width > 0;
  const targets = [...document.querySelectorAll("button, select, input, textarea, summary, a.file-link")]
    .filter(seen)
    .map((node) => node.closest("label") ?? node);
  return [...new Set(targets)]
    .map((node) => [node, node.getBoundingClientRect()])
    .filter(([, box]) => Math.round(box.height) < thumb || Math.round(box.width) < thumb)
    .map(([node, box]) => `${node.className || node.tagName} ${node.textContent.slice(0, 20)} ${box.width} × ${box.height}`);
}

// Lines that stand around nothing.
function stray() {
  const empty = (node) => node.checkVisibility() && node.childNodes.length === 0 && node.clientHeight === 0 && node.offsetHeight > 0;
  return [...document.querySelectorAll("main span, main div")].filter(empty).map((node) => node.className);
}

// Texts whose contrast with what is behind them is below WCAG's AA; where a gradient is behind, nobody can say.
function pale() {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const own = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const found = [];
  for (const node of document.querySelectorAll("main *")) {
    if (!own(node) || !node.checkVisibility()) continue;
    const back = behind(node, rgba);
    if (!back) continue;
    const style = getComputedStyle(node);
    const [bright, dark] = [luminance(rgba(style.color)), luminance(back)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${node.className} ${node.textContent.slice(0, 40)}`);
  }
  return found;
}

function behind(node, rgba) {
  for (let at = node; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.backgroundImage !== "none") return null;
    const colour = rgba(style.backgroundColor);
    if (colour[3] === 255) return colour;
    if (colour[3] > 0) return null;
  }
  return rgba("Canvas");
}

function luminance([red, green, blue]) {
  const part = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
}
