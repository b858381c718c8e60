/* The labels and the shapes as lists: what is on the picture, in words, for the keyboard and for screen readers. */

import { byId, element, swatch } from "./elements.js";
import { brief, describe, faultOf } from "./shapes.js";
import { text } from "./texts.js";

/** Rebuilds a list and keeps the focus where it was. */
function refill(list, rows) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const top = list.scrollTop;
  list.replaceChildren(...rows);
  list.scrollTop = top;
  if (focused !== null) [...list.querySelectorAll("button")].find((b) => b.dataset.key === focused)?.focus({ preventScroll: true });
}

export function showLabels(labels, current, readOnly, choose) {
  const rows = labels.names.map((name, i) => {
    const shown = labels.shown(name);
    const parents = labels.parents(name);
    const title = parents.length ? [...parents, name].join(" › ") : shown === name ? null : name;
    const button = element("button", { className: "row", type: "button", "aria-pressed": name === current, title }, [
      swatch(labels.colour(name)),
      element("span", { className: "name", text: shown }),
    ]);
    if (parents.length) button.append(element("span", { className: "more", text: text("label.in", { parent: parents.at(-1) }) }));
    button.append(i < 9 ? element("kbd", { text: String(i + 1) }) : element("span", { className: "more", text: String(i + 1), "aria-hidden": "true" }));
    button.dataset.key = name;
    button.disabled = readOnly;
    button.addEventListener("click", () => choose(name));
    const row = element("li", { className: parents.length ? "child" : null }, [button]);
    row.style.setProperty("--depth", Math.min(parents.length, 5));
    return row;
  });
  if (!rows.length && labels.free) rows.push(element("li", { className: "muted hint", text: text("label.draw_first") }));
  if (!rows.length) rows.push(element("li", { className: "muted hint", text: text("label.only_whole") }));
  const list = byId("labels");
  refill(list, rows);
  const chosen = labels.names.indexOf(current);
  // Only when it changed: the labeler may be looking at others.
  if (chosen >= 0 && list.dataset.chosen !== current) reveal(list, rows[chosen]);
  list.dataset.chosen = current ?? "";
}

/** A small button beside a shape: `on` says whether it is hidden or locked now. */
function mark(kind, on, key, press) {
  const title = text({ hide: on ? "hide.rowShow" : "hide.row", lock: on ? "lock.rowOpen" : "lock.row" }[kind]);
  const button = element("button", { type: "button", className: `mini ${kind}`, title, "aria-label": title, "aria-pressed": on });
  button.dataset.key = `${kind}/${key}`;
  button.addEventListener("click", () => press(key));
  return button;
}

/** `marks`: the ids of `hidden` and `locked` shapes. `actions`: {select, hide, lock}, each of an id. */
export function showShapes(shapes, selectedId, labels, { hidden, locked }, actions) {
  const rows = shapes.map((shape, i) => {
    const crossed = shape.kind === "polygon" ? faultOf(shape.points) : null;
    const missing = labels.missing(shape);
    const fault = crossed ?? (missing && text("attribute.missing", { attribute: missing, shape: describe(shape) }));
    const button = element("button", { className: "row shape-row", type: "button", "aria-pressed": shape.id === selectedId, title: fault ?? describe(shape) }, [
      swatch(labels.colour(shape.label)),
      element("span", { className: "name", text: `${i + 1}. ${labels.shown(shape.label)}` }),
      element("span", { className: fault ? "more fault" : "more", text: crossed ? `⚠ ${text("shape.crossing")}` : missing ? `⚠ ${missing}` : brief(shape), "aria-label": fault ?? describe(shape), role: "img" }),
    ]);
    button.dataset.key = shape.id;
    button.addEventListener("click", () => actions.select(shape.id));
    const marks = [mark("hide", hidden.has(shape.id), shape.id, actions.hide), mark("lock", locked.has(shape.id), shape.id, actions.lock)];
    return element("li", { className: hidden.has(shape.id) ? "shape-item away" : "shape-item" }, [button, ...marks]);
  });
  refill(byId("shapes"), rows);
  byId("shape-count").textContent = shapes.length ? String(shapes.length) : "";
  if (selectedId) reveal(byId("shapes"), byId("shapes").querySelector('[aria-pressed="true"]'));
}

/** Scrolls the list alone: on a phone all lists scroll together, and the labels stay where they are. */
function reveal(list, row) {
  if (!row) return;
  const [frame, place] = [list, row].map((one) => one.getBoundingClientRect());
  if (place.top < frame.top) list.scrollTop -= frame.top - place.top;
  else if (place.bottom > frame.bottom) list.scrollTop += place.bottom - frame.bottom;
  if (place.left < frame.left) list.scrollLeft -= frame.left - place.left;
  else if (place.right > frame.right) list.scrollLeft += place.right - frame.right;
}
