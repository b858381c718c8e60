/* The keyboard. Caught before anything else on the page, so that Annotorious' own undo never sees Ctrl+Z. */

import { anyOpen } from "./dialogs.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function listen(desk) {
  addEventListener("keydown", (event) => down(desk, event), true);
  addEventListener("keyup", (event) => event.code === "Space" && desk.holdSpace(false), true);
  addEventListener("blur", () => desk.holdSpace(false));
}

/** A letter is the key's, whatever alphabet it writes; a digit is the key's, shifted or not. */
function nameOf(event) {
  if (/^(Digit|Numpad)\d$/.test(event.code) && !event.shiftKey) return event.code.slice(-1);
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  if (/^Key[A-Z]$/.test(event.code) && !/^[ -~]$/.test(event.key)) return event.code.slice(3).toLowerCase();
  return event.key;
}

function down(desk, event) {
  if (event.defaultPrevented || event.isComposing || anyOpen() || !desk.isOpen) return;
  const { target } = event;
  const checkbox = target instanceof Element && target.matches("input[type=checkbox]");
  if (!checkbox && target instanceof Element && target.closest("input, textarea, select")) return;
  const key = nameOf(event);
  if (checkbox && key === " ") return;
  const pressable = target instanceof Element && target.closest("button, a, summary") !== null;
  // A focused button is pressed by these; everywhere else they are ours.
  if (pressable && (key === "Enter" || key === " ")) return;
  if (act(desk, event, key)) {
    event.preventDefault();
    event.stopPropagation();
  }
}

function act(desk, event, key) {
  const { shiftKey, altKey } = event;
  if (event.ctrlKey || event.metaKey) {
    // The browser must not undo on its own what was typed into a field before.
    const travel = { z: () => (shiftKey ? desk.redo() : desk.undo()), y: () => desk.redo() }[key];
    travel?.();
    return Boolean(travel);
  }
  if (ARROWS[key]) {
    const [dx, dy] = ARROWS[key];
    const pixels = shiftKey ? 10 : 1;
    return desk.nudge(dx * pixels, dy * pixels, { resize: altKey, amend: event.repeat });
  }
  if (altKey) return false;
  if (/^[1-9]$/.test(key)) return desk.chooseLabelAt(Number(key) - 1);
  const actions = {
    Enter: () => desk.enter(),
    Escape: () => desk.cancel(),
    Delete: () => desk.deleteKey(),
    Backspace: () => desk.deleteKey(),
    PageDown: () => desk.step(1),
    PageUp: () => desk.step(-1),
    ".": () => desk.step(1),
    ",": () => desk.step(-1),
    "+": () => desk.plus(),
    "=": () => desk.plus(),
    "-": () => desk.zoom(-1),
    0: () => desk.fit(),
    "?": () => desk.help(),
    "/": () => desk.search(),
    " ": () => desk.holdSpace(true),
    a: () => desk.insert(shiftKey ? "polygon" : "box"),
    b: () => desk.setTool("box"),
    c: () => desk.nextCorner(shiftKey ? -1 : 1),
    g: () => desk.showList(),
    i: () => desk.showInstructions(),
    l: () => desk.search(),
    n: () => desk.toggleNothing(),
    p: () => desk.setTool("polygon"),
    s: () => desk.cycle(shiftKey ? -1 : 1),
    v: () => desk.setTool("pan"),
  };
  const action = actions[key];
  if (!action || (event.repeat && /^(Enter|[a-z])$/.test(key))) return Boolean(action);
  return action() !== false;
}
