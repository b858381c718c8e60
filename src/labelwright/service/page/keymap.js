/* Which key does what: the one place. Where they do not clash the keys are those of CVAT. A labeler's own keys are kept on
   the device; the help shows the keys that hold.

   A key is written as in "n", "Shift+h", "Ctrl+z", "PageDown", "+": Shift is named with letters and keys that have a name,
   never with characters that need it. */

import { text } from "./texts.js";

const KEPT = "labelwright.keys";

/** Group -> action -> its keys at first. What an action does, `run` in keys.js says. */
const GROUPS = {
  drawing: {
    draw: ["n"], box: ["b"], polygon: ["p"], pan: ["v"], insertBox: ["a"], insertPolygon: ["Shift+a"],
  },
  shapes: {
    nextShape: ["s"], previousShape: ["Shift+s"], nextCorner: ["c"], previousCorner: ["Shift+c"],
    hide: ["h"], hideOthers: ["Shift+h"], lock: ["l"], lockAll: ["Shift+l"],
    copy: ["Ctrl+c"], paste: ["Ctrl+v"], repeat: ["r"], undo: ["Ctrl+z"], redo: ["Ctrl+y", "Ctrl+Shift+z"],
  },
  suggestions: {
    nextSuggestion: ["w"], previousSuggestion: ["Shift+w"], accept: ["y"], refuse: ["q"],
    acceptAll: ["Shift+y"], refuseAll: ["Shift+q"],
  },
  image: {
    find: ["/", "t"], empty: ["e"], skip: ["k"], note: ["m"],
    next: ["f", "PageDown", "."], previous: ["d", "PageUp", ","], list: ["g"],
  },
  view: {
    zoomIn: ["+", "="], zoomOut: ["-"], fit: ["0"], adjust: ["j"], crosshair: ["x"], instructions: ["i"], help: ["?", "F1"],
  },
};

export const groups = Object.entries(GROUPS).map(([name, actions]) => [name, Object.keys(actions)]);
const DEFAULTS = Object.assign({}, ...Object.values(GROUPS));

/** Keys that are the same for everybody: their meaning is in their name, or they come in tens. */
const FIXED = /^((Ctrl|Alt|Shift)\+)*(Enter|Escape|Delete|Backspace|Tab|Space| |Arrow\w+|[1-9])$/;

let own = read();
let byKey = index();

/** The key of an event; a letter is the key's, whatever alphabet it writes; a digit is the key's, shifted or not. */
export function keyOf(event) {
  const name = nameOf(event);
  const shift = event.shiftKey && (name.length > 1 || /^[a-z]$/.test(name));
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${name}`;
}

export function nameOf(event) {
  if (/^(Digit|Numpad)\d$/.test(event.code) && !event.shiftKey) return event.code.slice(-1);
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  if (/^Key[A-Z]$/.test(event.code) && !/^[ -~]$/.test(event.key)) return event.code.slice(3).toLowerCase();
  return event.key;
}

export const actionOf = (key) => byKey.get(key) ?? null;

export function keysOf(action) {
  return own[action] ?? DEFAULTS[action];
}

/** Gives an action one key of the labeler's own. Returns null, or why it cannot be. */
export function setKey(action, key) {
  if (FIXED.test(key) || /^(Control|Shift|Alt|Meta)$/.test(key)) return text("keys.fixed", { key: shown(key) });
  const other = actionOf(key);
  if (other && other !== action) return text("keys.taken", { key: shown(key), action: text(`keys.${other}`) });
  own = { ...own, [action]: [key] };
  keep();
  return null;
}

export function resetKeys() {
  own = {};
  keep();
}

export const hasOwnKeys = () => Object.keys(own).length > 0;

const SHOWN = { PageUp: "Page Up", PageDown: "Page Down", "-": "−" };

/** A key as people write it. */
export function shown(key) {
  const parts = key === "+" ? ["+"] : key.split("+");
  return parts.map((part) => SHOWN[part] ?? (/^[a-z]$/.test(part) ? part.toUpperCase() : part)).join("+");
}

/** The first key of an action, as people write it. */
export const shownKey = (action) => shown(keysOf(action)[0]);

function index() {
  return new Map(Object.keys(DEFAULTS).flatMap((action) => keysOf(action).map((key) => [key, action])));
}

function keep() {
  byKey = index();
  try {
    if (hasOwnKeys()) localStorage.setItem(KEPT, JSON.stringify(own));
    else localStorage.removeItem(KEPT);
  } catch {
    // They hold until the page is closed.
  }
}

/** Keys of an older version for actions that are not there any more are left out, and so are keys that two would have. */
function read() {
  try {
    const kept = Object.entries(JSON.parse(localStorage.getItem(KEPT)) ?? {});
    const valid = kept.filter(([action, keys]) => action in DEFAULTS && Array.isArray(keys) && keys.every((key) => typeof key === "string" && !FIXED.test(key)));
    const known = Object.fromEntries(valid);
    const all = Object.keys(DEFAULTS).flatMap((action) => known[action] ?? DEFAULTS[action]);
    return new Set(all).size === all.length ? known : {};
  } catch {
    return {};
  }
}
