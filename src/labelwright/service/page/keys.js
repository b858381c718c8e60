/* The keyboard. Caught before anything else on the page, so that Annotorious' own undo never sees Ctrl+Z. Which key is
   which action: keymap.js. */

import { anyOpen } from "./dialogs.js";
import { actionOf, keyOf, nameOf } from "./keymap.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What an action does; false: nothing, and the key is the browser's. */
const RUN = {
  draw: (desk) => desk.drawAgain(),
  box: (desk) => desk.setTool("box"),
  polygon: (desk) => desk.setTool("polygon"),
  pan: (desk) => desk.setTool("pan"),
  insertBox: (desk) => desk.insert("box"),
  insertPolygon: (desk) => desk.insert("polygon"),
  nextShape: (desk) => desk.cycle(1),
  previousShape: (desk) => desk.cycle(-1),
  nextCorner: (desk) => desk.nextCorner(1),
  previousCorner: (desk) => desk.nextCorner(-1),
  hide: (desk) => desk.toggleHidden(),
  hideOthers: (desk) => desk.hideOthers(),
  lock: (desk) => desk.toggleLock(),
  lockAll: (desk) => desk.lockAll(),
  copy: (desk) => desk.copy(),
  paste: (desk) => desk.paste(),
  repeat: (desk) => desk.copyFromPrevious(),
  undo: (desk) => desk.undo(),
  redo: (desk) => desk.redo(),
  nextSuggestion: (desk) => desk.cycleSuggestions(1),
  previousSuggestion: (desk) => desk.cycleSuggestions(-1),
  accept: (desk) => desk.acceptSuggestion(),
  refuse: (desk) => desk.refuseSuggestion(),
  acceptAll: (desk) => desk.acceptAll(),
  refuseAll: (desk) => desk.refuseAll(),
  find: (desk) => desk.search(),
  empty: (desk) => desk.toggleNothing(),
  skip: (desk) => desk.skip(),
  note: (desk) => desk.writeNote(),
  next: (desk) => desk.step(1),
  previous: (desk) => desk.step(-1),
  list: (desk) => desk.showList(),
  zoomIn: (desk) => desk.plus(),
  zoomOut: (desk) => desk.zoom(-1),
  fit: (desk) => desk.fit(),
  adjust: (desk) => desk.toggleAdjust(),
  crosshair: (desk) => desk.toggleCrosshair(),
  instructions: (desk) => desk.showInstructions(),
  help: (desk) => desk.help(),
};

/** Actions that go on while their key is held down. */
const REPEATED = new Set(["next", "previous", "zoomIn", "zoomOut", "undo", "redo"]);

export function listen(desk) {
  addEventListener("keydown", (event) => down(desk, event), true);
  addEventListener("keyup", (event) => event.code === "Space" && desk.holdSpace(false), true);
  addEventListener("blur", () => desk.holdSpace(false));
}

function down(desk, event) {
  if (event.defaultPrevented || event.isComposing || anyOpen() || !desk.isOpen) return;
  const { target } = event;
  if (target instanceof Element && target.closest("#adjust")) return; // its own keys close it
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
  const action = actionOf(keyOf(event));
  if (action) {
    if (event.repeat && !REPEATED.has(action)) return true;
    return RUN[action](desk) !== false;
  }
  if (event.ctrlKey || event.metaKey) return key === "s" && desk.sayWhatIsKept();
  if (ARROWS[key]) {
    const [dx, dy] = ARROWS[key];
    const pixels = event.shiftKey ? 10 : 1;
    return desk.nudge(dx * pixels, dy * pixels, { resize: event.altKey, amend: event.repeat });
  }
  if (event.altKey) return false;
  if (/^[1-9]$/.test(key)) return desk.chooseLabelAt(Number(key) - 1);
  const fixed = {
    Enter: () => desk.enter(),
    Escape: () => desk.cancel(),
    Delete: () => desk.deleteKey(),
    Backspace: () => desk.deleteKey(),
    " ": () => desk.holdSpace(true),
  }[key];
  if (!fixed || (event.repeat && key === "Enter")) return Boolean(fixed);
  return fixed() !== false;
}
