// Renders one card with our renderer or with the reference, and reports what a person would find on it.

const SKIPPED = "button, select, datalist, textarea, .field-error, .ac-pushButton, .option, .ac-choiceSetInput-expanded, "
  + ".ac-choiceSetInput-multiSelect, .ac-toggleInput, .label, legend, .ac-horizontal-separator";

const squeeze = (text) => (text ?? "").replace(/[\s\u200b]+/g, "");

function textsOf(root, skip) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  let all = "";
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!parent.closest(skip) && parent.checkVisibility()) all += walker.currentNode.data;
  }
  return squeeze(all);
}

function emphasised(root) {
  return [...root.querySelectorAll("strong, em, a[href], li")].filter((node) => squeeze(node.textContent))
    .map((node) => [node.tagName, squeeze(node.textContent), node.getAttribute("href") ?? ""].join("|"));
}

const controlsOf = (root) => [...root.querySelectorAll("input, textarea, select")];

// The same hands on both cards: `empty` clears everything, `junk` types nonsense, `full` types what most fields take.
function fill(root, how) {
  const words = { empty: "", junk: "?!", full: "2233" };
  const radios = new Map();
  for (const control of controlsOf(root)) {
    if (control.type === "radio") radios.set(control.name, [...(radios.get(control.name) ?? []), control]);
    else if (control.type === "checkbox") control.checked = how === "full";
    else if (control.tagName === "SELECT") control.selectedIndex = how === "full" ? control.options.length - 1 : 0;
    else if (control.list) control.value = how === "full" ? control.list.options[0]?.value ?? "" : words[how];
    else control.value = words[how];
    for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind, { bubbles: true }));
  }
  for (const group of radios.values()) {
    group.forEach((radio, index) => { radio.checked = how === "full" && index === group.length - 1; });
    group[0].dispatchEvent(new Event("change", { bubbles: true }));
  }
}

async function ours(card, how) {
  const { renderCard } = await import("/demo/static/cards.js");
  const pressed = [];
  const root = renderCard(card, { press: (action, data) => pressed.push(data) });
  document.getElementById("box").replaceChildren(root);
  for (const button of root.querySelectorAll('[data-action="Action.ShowCard"]')) button.click();
  const report = {
    texts: textsOf(root, SKIPPED),
    emphasised: emphasised(root),
    inputs: ourInputs(root),
    buttons: [...root.querySelectorAll("button.action")].map((button) => button.textContent),
  };
  if (how) fill(root, how);
  report.outcomes = [...root.querySelectorAll('[data-action="Action.Execute"], [data-action="Action.Submit"]')].map((button) => {
    pressed.length = 0;
    for (const bad of root.querySelectorAll("[aria-invalid]")) bad.removeAttribute("aria-invalid");
    button.click();
    const invalid = new Set([...root.querySelectorAll('[aria-invalid="true"]')].map((control) => control.dataset.input));
    return { button: button.textContent, invalid: [...invalid].sort(), data: pressed[0] ?? null };
  });
  return report;
}

function ourInputs(root) {
  const groups = new Map();
  for (const control of root.querySelectorAll("[data-input]")) {
    groups.set(control.dataset.input, [...(groups.get(control.dataset.input) ?? []), control]);
  }
  return [...groups].map(([id, controls]) => ({ id, ...ourInput(controls) }));
}

function ourInput(controls) {
  const [first] = controls;
  const caption = first.closest(".field").querySelector(".label")?.cloneNode(true);
  caption?.querySelector(".star")?.remove();
  const label = squeeze(caption?.textContent);
  if (first.closest(".toggle")) return { label, type: "Input.Toggle", title: squeeze(first.closest("label").textContent), checked: first.checked };
  if (first.closest(".options")) {
    const choices = controls.map((control) => [squeeze(control.closest("label").textContent), control.value]);
    return { label, type: "Input.ChoiceSet", choices, value: controls.filter((control) => control.checked).map((control) => control.value).join(",") };
  }
  if (first.tagName === "SELECT") {
    const choices = [...first.options].slice(1).map((option) => [squeeze(option.text), option.value]);
    return { label, type: "Input.ChoiceSet", choices, value: first.value };
  }
  if (first.list) return { label, type: "Input.ChoiceSet", titles: [...first.list.options].map((option) => option.value), value: first.value };
  return { label, type: "Input.Text", multiline: first.tagName === "TEXTAREA", kind: first.type, maxLength: first.maxLength, value: first.value, placeholder: first.placeholder };
}

function theirs(card, how) {
  const markdown = window.markdownit();
  AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => { result.outputHtml = markdown.render(text); result.didProcess = true; };
  const rendered = new AdaptiveCards.AdaptiveCard();
  rendered.parse(card);
  const executed = [];
  rendered.onExecuteAction = (action) => executed.push(action);
  const root = rendered.render();
  document.getElementById("box").replaceChildren(root);
  const buttons = () => [...root.querySelectorAll("button.ac-pushButton")];
  for (const button of buttons()) if (button.hasAttribute("aria-expanded")) button.click();
  const inputs = rendered.getAllInputs(true);
  const labels = inputs.map((input) => squeeze(input.label)).join("");
  const report = {
    texts: textsOf(root, `${SKIPPED}, label, .ac-input-label, [id$="-label"]`),
    labels,
    emphasised: emphasised(root),
    inputs: inputs.map(theirInput),
    buttons: buttons().map((button) => button.textContent),
  };
  if (how) fill(root, how);
  report.outcomes = buttons().filter((button) => !button.hasAttribute("aria-expanded")).flatMap((button) => {
    executed.length = 0;
    for (const input of inputs) input.resetValidationFailureCue();
    button.click();
    if (executed[0]?.getJsonTypeName() === "Action.OpenUrl") return [];
    const failed = inputs.filter((input) => input.renderedInputControlElement?.classList.contains("ac-input-validation-failed"));
    return [{ button: button.textContent, invalid: failed.map((input) => input.id).sort(), data: executed[0] ? executed[0].data ?? {} : null }];
  });
  return report;
}

function theirInput(input) {
  const common = { id: input.id, label: squeeze(input.label), type: input.getJsonTypeName() };
  const control = input.renderedInputControlElement;
  if (common.type === "Input.Toggle") return { ...common, title: squeeze(input.title), checked: input.value === input.valueOn };
  if (common.type === "Input.ChoiceSet") {
    if (input.style === "filtered" && !input.isMultiSelect) {
      const chosen = input.choices.find((choice) => choice.value === input.defaultValue);
      return { ...common, titles: input.choices.map((choice) => choice.title), value: chosen?.title ?? "" };
    }
    return { ...common, choices: input.choices.map((choice) => [squeeze(choice.title), choice.value]), value: input.value ?? "" };
  }
  return { ...common, multiline: input.isMultiline, kind: control.type, maxLength: control.maxLength, value: input.value ?? "", placeholder: control.placeholder };
}

window.compare = async (card, how) => ({ ours: await ours(card, how), theirs: theirs(card, how) });
