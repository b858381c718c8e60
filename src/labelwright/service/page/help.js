/* The sheet of keys and gestures, made of the keys that hold; here they are changed, too. */

import { byId, element } from "./elements.js";
import { groups, hasOwnKeys, keyOf, keysOf, resetKeys, setKey, shown, shownKey } from "./keymap.js";
import { text } from "./texts.js";

/** Gestures and fixed keys by group, in front of its keys: [what is done, key of the text]. */
const FIXED = {
  drawing: [["drag", "drag"], ["Shift+drag", "dragInside"], ["click", "corners"]],
  shapes: [["click", "click"], ["arrows", "arrows"], ["Delete", "delete"], ["Esc", "escape"]],
  image: [["1–9", "digits"], ["Enter", "submit"], ["Tab", "tab"]],
  view: [["wheel", "wheel"], ["Space+drag", "space"]],
};

let changing = false;

export function openHelp() {
  changing = false;
  paint();
  byId("help-change").onclick = () => {
    changing = !changing;
    paint();
  };
  byId("help-reset").onclick = () => {
    resetKeys();
    paint();
    showKeys();
  };
  byId("help").showModal();
}

/** Keys in the titles of buttons (`data-action`), and in the <kbd>s inside them. */
export function showKeys() {
  for (const button of document.querySelectorAll("[data-action]")) {
    const key = shownKey(button.dataset.action);
    button.title = `${text(`keys.${button.dataset.action}`)} (${key})`;
    const kbd = button.querySelector("kbd");
    if (kbd) kbd.textContent = key;
  }
}

function paint() {
  byId("help-change").setAttribute("aria-pressed", String(changing));
  byId("help-reset").hidden = !hasOwnKeys();
  byId("help-message").textContent = changing ? text("keys.howToChange") : "";
  byId("help-keys").replaceChildren(
    ...groups.map(([group, actions]) =>
      element("section", {}, [
        element("h3", { text: text(`keys.group.${group}`) }),
        element("dl", {}, [...(FIXED[group] ?? []).flatMap(fixedRow), ...actions.flatMap(actionRow)]),
      ]),
    ),
  );
}

const GESTURES = new Set(["drag", "click", "arrows", "wheel"]);

function fixedRow([how, key]) {
  const parts = how.split("+").map((part) => (GESTURES.has(part) ? text(`keys.gesture.${part}`) : element("kbd", { text: part })));
  const joined = parts.flatMap((part, i) => (i ? ["+", part] : [part]));
  return [element("dt", {}, joined), element("dd", { text: text(`keys.${key}`) })];
}

function actionRow(action) {
  const keys = keysOf(action).map((key) => element("kbd", { text: shown(key) }));
  const name = text(`keys.${action}`);
  if (!changing) return [element("dt", {}, keys.flatMap((key, i) => (i ? [" ", key] : [key]))), element("dd", { text: name })];
  const button = element("button", { type: "button", className: "small", "aria-label": text("keys.change", { action: name }) }, keys);
  button.dataset.change = action;
  button.addEventListener("click", () => listenFor(action, button));
  return [element("dt", {}, [button]), element("dd", { text: name })];
}

/** The next key that is pressed is the action's; Escape leaves it as it is. */
function listenFor(action, button) {
  byId("help-message").textContent = text("keys.press", { action: text(`keys.${action}`) });
  button.classList.add("waiting");
  const dialog = byId("help");
  const done = () => {
    dialog.removeEventListener("keydown", pressed, true);
    dialog.removeEventListener("pointerdown", done, true);
    button.classList.remove("waiting");
  };
  const pressed = (event) => {
    if (/^(Control|Shift|Alt|Meta)$/.test(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const refused = event.key === "Escape" ? "" : setKey(action, keyOf(event));
    done();
    if (event.key === "Escape") return void (byId("help-message").textContent = "");
    paint();
    showKeys();
    byId("help-message").textContent = refused ?? text("keys.changed", { action: text(`keys.${action}`) });
    dialog.querySelector(`[data-change="${action}"]`)?.focus();
  };
  dialog.addEventListener("keydown", pressed, true);
  dialog.addEventListener("pointerdown", done, true);
}
