// Buttons of a card: what they send, what they check before, what they open.

import { el } from "./dom.js";
import { openUrl } from "./links.js";

let serial = 0;

export function actionSet(actions, scope) {
  const row = el("div", { class: "actions" });
  const panels = el("div", { class: "panels" });
  for (const raw of actions) {
    const action = scope.known(raw, "Action.");
    if (action) row.append(button(action, scope, row, panels));
  }
  return row.children.length ? el("div", { class: "action-set" }, row, panels) : null;
}

function button(action, scope, row, panels) {
  const node = el("button", {
    type: "button", class: `action ${action.style ?? "default"}`, title: action.tooltip, "data-action": action.type,
  }, action.title ?? "");
  if (action.type === "Action.ShowCard") showCard(node, action, scope, row, panels);
  else if (action.type === "Action.OpenUrl") node.addEventListener("click", () => openUrl(action.url));
  else node.addEventListener("click", () => press(node, action, scope));
  return node;
}

function press(node, action, scope) {
  const inputs = action.associatedInputs === "none" ? [] : reach(scope);
  const bad = inputs.filter((input) => !input.check());
  if (bad.length) {
    bad[0].focus();
    return;
  }
  const data = action.data && typeof action.data === "object" ? { ...action.data } : {};
  for (const input of inputs) {
    const value = input.get();
    if (input.id && value) data[input.id] = value;
  }
  scope.hooks.press?.(action, data, node);
}

// The inputs a button speaks for: those of its own card and of the cards around it.
function reach(scope) {
  const out = [];
  for (let at = scope; at; at = at.parent) out.push(...at.inputs);
  return out;
}

function showCard(node, action, scope, row, panels) {
  serial += 1;
  const panel = el("div", { class: "show-card", id: `show-card-${serial}`, hidden: true }, scope.renderInner(action.card, scope));
  node.setAttribute("aria-expanded", "false");
  node.setAttribute("aria-controls", panel.id);
  panels.append(panel);
  node.addEventListener("click", () => {
    const opening = panel.hidden;
    for (const other of panels.children) other.hidden = true;
    for (const other of row.querySelectorAll("[aria-expanded]")) other.setAttribute("aria-expanded", "false");
    panel.hidden = !opening;
    node.setAttribute("aria-expanded", String(opening));
  });
}
