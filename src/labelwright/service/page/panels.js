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
    const parents = labels.parents(name);
    const title = parents.length ? [...parents, name].join(" › ") : shown === name ? null : name;
    const button = element("button", { className: "row", type: "button", "aria-pressed": name === current, title }, [
      swatch(labels.colour(name)),
      element("span", { className: "name", text: shown }),
    ]);
    if (parents.length) button.append(element("span", { className: "more", text: `in ${parents.at(-1)}` }));
    if (i < 9) button.append(element("kbd", { text: String(i + 1) }));
    button.dataset.key = name;
    button.disabled = readOnly;
    button.addEventListener("click", () => choose(name));
    const row = element("li", { className: parents.length ? "child" : null }, [button]);
    row.style.setProperty("--depth", Math.min(parents.length, 5));
    return row;
  });
  if (!rows.length && labels.free) rows.push(element("li", { className: "muted hint", text: "Draw something, then name it." }));
  if (!rows.length) rows.push(element("li", { className: "muted hint", text: "All labels are for the whole image." }));
  refill(byId("labels"), rows);
}

export function showShapes(shapes, selectedId, labels, select) {
  const rows = shapes.map((shape, i) => {
    const crossed = shape.kind === "polygon" ? faultOf(shape.points) : null;
    const missing = labels.missing(shape);
    const fault = crossed ?? (missing && `Attribute “${missing}” is missing. ${describe(shape)}`);
    const button = element("button", { className: "row shape-row", type: "button", "aria-pressed": shape.id === selectedId, title: fault ?? describe(shape) }, [
      swatch(labels.colour(shape.label)),
      element("span", { className: "name", text: `${i + 1}. ${labels.shown(shape.label)}` }),
      element("span", { className: fault ? "more fault" : "more", text: crossed ? "⚠ edges cross" : missing ? `⚠ ${missing}` : brief(shape), "aria-label": fault ?? describe(shape), role: "img" }),
    ]);
    button.dataset.key = shape.id;
    button.addEventListener("click", () => select(shape.id));
    return element("li", {}, [button]);
  });
  refill(byId("shapes"), rows);
  byId("shape-count").textContent = shapes.length ? String(shapes.length) : "";
  if (selectedId) byId("shapes").querySelector('[aria-pressed="true"]')?.scrollIntoView({ block: "nearest" });
}
