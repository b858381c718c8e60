/* Fields for the attributes of an object, and the labels of the image as a whole. Fields are rebuilt only when another
   object or label is shown: whoever types keeps the cursor. */

import { byId, element, swatch } from "./elements.js";
import { language, text } from "./texts.js";

/** `actions`: {describe(shape id, attribute, value, {typing}), leave()}, what a change and the end of a change do. */
export function showAttributes(shape, labels, readOnly, actions) {
  const attributes = shape ? labels.attributes(shape.label) : [];
  byId("attributes-part").hidden = !attributes.length;
  byId("attributes-label").textContent = shape ? labels.shown(shape.label) : "";
  const key = attributes.length ? JSON.stringify([language(), shape.id, shape.label]) : "";
  refresh(byId("attributes"), key, () => attributes.map((attribute, i) => field(shape, attribute, i, actions)));
  if (shape) setValues(byId("attributes"), shape, labels, readOnly);
}

export function showWholeImage(shapes, labels, readOnly, actions) {
  const present = shapes.filter(({ kind }) => kind === "image");
  // A label that is on the image and not offered can be taken back.
  const names = [...new Set([...labels.wholeImage, ...present.map(({ label }) => label)])];
  byId("whole-part").hidden = !names.length;
  const list = byId("whole-image");
  const shapeOf = (name) => present.find(({ label }) => label === name);
  const key = JSON.stringify([language(), ...names.map((name) => [name, shapeOf(name)?.id ?? null])]);
  refresh(list, key, () => names.map((name) => wholeImageRow(name, shapeOf(name), labels, actions)));
  for (const shape of present) setValues(list, shape, labels, readOnly);
  for (const box of list.querySelectorAll("input[type=checkbox]")) box.disabled = readOnly;
}

function wholeImageRow(name, shape, labels, actions) {
  const check = element("input", { type: "checkbox" });
  check.checked = shape !== undefined;
  check.dataset.key = `whole/${name}`;
  check.addEventListener("change", () => actions.toggle(name));
  const parents = labels.parents(name);
  const row = element("label", { className: "row check", title: [...parents, name].join(" › ") }, [
    check,
    swatch(labels.colour(name)),
    element("span", { className: "name", text: labels.shown(name) }),
  ]);
  if (parents.length) row.append(element("span", { className: "more", text: text("label.in", { parent: parents.at(-1) }) }));
  const fields = shape ? labels.attributes(name).map((attribute, i) => field(shape, attribute, i, actions)) : [];
  return element("li", {}, [row, ...fields]);
}

function refresh(box, key, build) {
  if (box.dataset.built === key) return;
  const focused = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  box.dataset.built = key;
  box.replaceChildren(...build());
  if (focused) inputsOf(box).find((input) => input.dataset.key === focused)?.focus({ preventScroll: true });
}

const inputsOf = (box) => [...box.querySelectorAll("input, select")];

function field(shape, { name, values, required }, place, { describe, leave }) {
  const id = `attribute-${shape.id}-${place}`;
  const options = ["", ...values].map((value) => element("option", { value, text: value || "–" }));
  const input = values.length ? element("select", { id }, options) : element("input", { id, type: "text", autocomplete: "off", maxlength: 2000 });
  input.dataset.key = `${shape.id}/${name}`;
  input.required = required;
  let byKey = false;
  input.addEventListener("pointerdown", () => (byKey = false));
  input.addEventListener("keydown", (event) => {
    byKey = true;
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    leave();
  });
  input.addEventListener("input", () => describe(shape.id, name, input.value, { typing: !values.length }));
  // After a choice with the mouse the keys are the picture's again.
  if (values.length) input.addEventListener("change", () => byKey || leave());
  const label = element("label", { for: id, className: "field-name", text: name }, required ? [element("span", { className: "must", text: ` ${text("attribute.required")}` })] : []);
  return element("div", { className: "field" }, [label, input]);
}

function setValues(box, shape, labels, readOnly) {
  for (const { name, values, required } of labels.attributes(shape.label)) {
    const input = inputsOf(box).find((one) => one.dataset.key === `${shape.id}/${name}`);
    if (!input) continue;
    const value = shape.attributes[name] ?? "";
    if (input.value !== value) input.value = value;
    input.disabled = readOnly;
    const invalid = value.trim() ? values.length > 0 && !values.includes(value) : required;
    input.setAttribute("aria-invalid", String(invalid));
  }
}

/** Puts the cursor into the field of an attribute. */
export function focusAttribute(shapeId, name) {
  inputsOf(document).find((input) => input.dataset.key === `${shapeId}/${name}`)?.focus();
}
