/* The labels and the shapes as lists: what is on the picture, in words, for the keyboard and for screen readers. */

import { byId, element, swatch } from "./elements.js";
import { brief, describe, faultOf } from "./shapes.js";

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
    const button = element("button", { className: "row", type: "button", "aria-pressed": name === current, title: shown === name ? null : name }, [
      swatch(labels.colour(name)),
      element("span", { className: "name", text: shown }),
    ]);
    if (i < 9) button.append(element("kbd", { text: String(i + 1) }));
    button.dataset.key = name;
    button.disabled = readOnly;
    button.addEventListener("click", () => choose(name));
    return element("li", {}, [button]);
  });
  if (!rows.length) rows.push(element("li", { className: "muted hint", text: "Draw something, then name it." }));
  refill(byId("labels"), rows);
}

export function showShapes(shapes, selectedId, labels, select) {
  const rows = shapes.map((shape, i) => {
    const fault = shape.kind === "polygon" ? faultOf(shape.points) : null;
    const button = element("button", { className: "row shape-row", type: "button", "aria-pressed": shape.id === selectedId, title: fault ?? describe(shape) }, [
      swatch(labels.colour(shape.label)),
      element("span", { className: "name", text: `${i + 1}. ${labels.shown(shape.label)}` }),
      element("span", { className: fault ? "more fault" : "more", text: fault ? "⚠ edges cross" : brief(shape), "aria-label": fault ?? describe(shape), role: "img" }),
    ]);
    button.dataset.key = shape.id;
    button.addEventListener("click", () => select(shape.id));
    return element("li", {}, [button]);
  });
  refill(byId("shapes"), rows);
  byId("shape-count").textContent = shapes.length ? String(shapes.length) : "";
  if (selectedId) byId("shapes").querySelector('[aria-pressed="true"]')?.scrollIntoView({ block: "nearest" });
}
