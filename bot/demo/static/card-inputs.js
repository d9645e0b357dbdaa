// Inputs of a card: each knows its value and whether it may be sent, and says under the field what is wrong.

import { el } from "./dom.js";
import { words } from "./texts.js";

let serial = 0;

export const INPUTS = {
  "Input.Text": (element, scope) => register(element, scope, textInput(element)),
  "Input.ChoiceSet": (element, scope) => register(element, scope, choiceInput(element)),
  "Input.Toggle": (element, scope) => register(element, scope, toggleInput(element)),
};

const choices = (element) => (Array.isArray(element.choices) ? element.choices : []).filter((choice) => choice && typeof choice === "object");

// part: {node, controls, get, isSet?, isValid?, group?}
function register(element, scope, part) {
  serial += 1;
  const errorId = `field-${serial}-error`;
  const error = el("p", { class: "field-error", id: errorId, hidden: true }, element.errorMessage || words("fieldWrong"));
  const field = el(part.group ? "fieldset" : "div", { class: "field" });
  const caption = element.label ? [element.label, element.isRequired ? el("span", { class: "star", "aria-hidden": "true" }, " *") : null] : null;
  const main = part.controls[0];
  if (main && !part.group) main.id = `field-${serial}`;
  if (caption && part.group) field.append(el("legend", { class: "label" }, caption));
  else if (caption) field.append(el("label", { class: "label", for: `field-${serial}` }, caption));
  field.append(part.node, error);
  describe(element, part, errorId);
  const input = { id: element.id, get: part.get, focus: () => main?.focus(), check: () => check(element, part, field, error) };
  for (const control of part.controls) {
    control.dataset.input = element.id ?? "";
    control.addEventListener("input", () => { if (field.classList.contains("bad")) input.check(); });
  }
  scope.inputs.push(input);
  return field;
}

function describe(element, part, errorId) {
  for (const control of part.controls) {
    control.setAttribute("aria-describedby", errorId);
    if (element.isRequired && !part.group) control.setAttribute("aria-required", "true");
    if (!element.label && !part.labelled) control.setAttribute("aria-label", element.placeholder || element.id || words("field"));
  }
}

function check(element, part, field, error) {
  const isSet = part.isSet ? part.isSet() : Boolean(part.get());
  const good = (isSet || !element.isRequired) && (!part.isValid || part.isValid());
  field.classList.toggle("bad", !good);
  error.hidden = good;
  for (const control of part.controls) control.setAttribute("aria-invalid", String(!good));
  return good;
}

function textInput(element) {
  const shared = { class: "control", placeholder: element.placeholder, maxlength: element.maxLength > 0 ? element.maxLength : null };
  const control = element.isMultiline
    ? el("textarea", { ...shared, rows: 3 })
    : el("input", { ...shared, type: element.style ?? "text", autocomplete: "off" });
  control.value = element.value ?? "";
  const isValid = () => !control.value || !element.regex || matches(element.regex, control.value);
  return { node: control, controls: [control], get: () => control.value, isValid };
}

function matches(pattern, value) {
  try {
    return new RegExp(pattern).test(value);
  } catch {
    return true; // the server checks again
  }
}

function choiceInput(element) {
  if (element.isMultiSelect || element.style === "expanded") return buttonsInput(element);
  return element.style === "filtered" ? filteredInput(element) : selectInput(element);
}

function selectInput(element) {
  const control = el("select", { class: "control" });
  const empty = el("option", { value: "", hidden: Boolean(element.isRequired) }, element.placeholder ?? "");
  control.append(empty, ...choices(element).map((choice) => el("option", { value: choice.value ?? "" }, choice.title ?? "")));
  control.value = element.value ?? "";
  if (control.selectedIndex < 0) control.selectedIndex = 0;
  return { node: control, controls: [control], get: () => control.value };
}

function buttonsInput(element) {
  serial += 1;
  const wanted = new Set(String(element.value ?? "").split(element.isMultiSelect ? "," : "\u0000"));
  const type = element.isMultiSelect ? "checkbox" : "radio";
  const controls = choices(element).map((choice) => {
    const control = el("input", { type, name: `choice-${serial}`, value: choice.value ?? "" });
    control.checked = wanted.has(String(choice.value));
    return [control, el("label", { class: "option" }, control, el("span", {}, choice.title ?? ""))];
  });
  const boxes = controls.map(([control]) => control);
  const get = () => boxes.filter((control) => control.checked).map((control) => control.value).join(",");
  return { node: el("div", { class: "options" }, controls.map(([, label]) => label)), controls: boxes, get, group: true, labelled: true };
}

function filteredInput(element) {
  serial += 1;
  const all = choices(element);
  const control = el("input", { class: "control", type: "text", list: `list-${serial}`, placeholder: element.placeholder, autocomplete: "off" });
  const options = el("datalist", { id: `list-${serial}` }, all.map((choice) => el("option", { value: choice.title ?? "" })));
  control.value = all.find((choice) => choice.value === element.value)?.title ?? "";
  const get = () => all.find((choice) => choice.title === control.value)?.value;
  const isValid = () => !control.value || get() !== undefined;
  return { node: el("div", { class: "filtered" }, control, options), controls: [control], get, isValid };
}

function toggleInput(element) {
  const on = element.valueOn ?? "true", off = element.valueOff ?? "false";
  const control = el("input", { type: "checkbox" });
  control.checked = element.value === on;
  const node = el("label", { class: "option toggle" }, control, el("span", {}, element.title ?? ""));
  const get = () => (control.checked ? on : off);
  return { node, controls: [control], get, isSet: () => control.checked, labelled: true };
}
