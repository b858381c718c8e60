/* Annotorious, tamed: it finds the shape under the pointer and edits the selected one (move, resize, corners). Drawing,
   colours and undo are the page's own. The defects of 3.8.10 that are worked around here:

   - a box's `geometry.bounds` lag one event behind after an edit, and the box cannot be found where it is: the geometry
     is always given anew after an edit, with bounds made from the box, and nothing is ever read from `bounds`;
   - boxes can be rotated, which the API cannot say: the handle is hidden (label.css) and a rotation is dropped;
   - it undoes by itself on Ctrl+Z: the key never reaches it (keys.js);
   - its undo fails on a local change in the page's first quarter of a second: ours come to it as from elsewhere;
   - a corner that is dragged quickly counts as clicked: see unpickCorners;
   - coordinates outside the image: every edit goes through shapes.withGeometry. */

import { loaded } from "./pictures.js";
import { text } from "./texts.js";

// A classic script before the modules: the vendor's module build asks for Node's `process`.
const { createImageAnnotator } = window.Annotorious;

const REMOTE = "REMOTE";

export class Canvas {
  /** `underlay`: elements to lie above the picture and below the handles.
      `onDrag(id, geometry)` while a shape is dragged, `onEdited(id, geometry)` after it, {box} or {points}. */
  constructor(stage, underlay, { onDrag, onEdited }) {
    this.stage = stage;
    this.underlay = underlay; // what is painted, between the picture and the handles
    this.onDrag = onDrag;
    this.onEdited = onEdited;
    this.annotator = null;
    this.byUs = false;
    this.pointerDown = false;
    this.changed = null;
  }

  async show(url, name) {
    this.clear();
    const image = await loaded(url);
    image.draggable = false;
    image.className = "picture";
    this.stage.prepend(image);
    this.annotator = createImageAnnotator(image, { drawingEnabled: false, autoSave: false });
    this.wrapper = this.annotator.element;
    this.wrapper.classList.add("annotorious");
    this.svg = this.wrapper.querySelector("svg");
    this.svg.before(...this.underlay);
    // The picture is laid out in whole CSS pixels: its scales in x and y may differ by a hair, and so must the layer's.
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.name(name);
    new MutationObserver(() => this.nameHandles()).observe(this.svg, { childList: true, subtree: true });
    this.annotator.state.store.observe((event) => this.observed(event));
  }

  /** What screen readers say of the picture and of what is drawn on it. */
  name(name) {
    if (!this.annotator) return;
    this.stage.querySelector("img.picture").alt = name;
    this.svg.setAttribute("aria-label", text("image.canvas"));
    this.nameHandles();
  }

  nameHandles() {
    for (const handle of this.svg.querySelectorAll("[role=button]")) {
      const name = text("shape.handle");
      if (handle.getAttribute("aria-label") !== name) handle.setAttribute("aria-label", name);
    }
  }

  clear() {
    this.stage.append(...this.underlay);
    this.annotator?.destroy();
    this.annotator = null;
    this.stage.querySelector("img.picture")?.remove();
    this.changed = null;
    this.pointerDown = false;
  }

  focus() {
    this.svg?.focus({ preventScroll: true });
  }

  /** Brings Annotorious to the page's state. */
  sync(shapes, selectedId, editable) {
    if (!this.annotator) return;
    const { store, selection } = this.annotator.state;
    this.byUs = true;
    try {
      const wanted = new Map(shapes.map((shape) => [shape.id, shape]));
      for (const known of store.all()) if (!wanted.has(known.id)) store.deleteAnnotation(known.id, REMOTE);
      for (const shape of shapes) {
        const known = store.getAnnotation(shape.id);
        const selector = selectorOf(shape);
        if (!known) store.addAnnotation({ id: shape.id, bodies: [], target: { annotation: shape.id, selector } }, REMOTE);
        else if (JSON.stringify(known.target.selector) !== JSON.stringify(selector)) {
          store.updateTarget({ ...known.target, selector }, REMOTE);
        }
      }
      const now = selection.selected ?? [];
      const asWanted = now.length === (selectedId ? 1 : 0) && (!selectedId || (now[0].id === selectedId && now[0].editable === editable));
      if (!asWanted) {
        if (selectedId) selection.setSelected(selectedId, editable);
        else selection.clear();
      }
    } finally {
      this.byUs = false;
    }
  }

  /** The smallest shape there; `reach` in image pixels. */
  at([x, y], reach) {
    return this.annotator?.state.store.getAt(x, y, undefined, reach)?.id ?? null;
  }

  /** Whether an event is about the selected shape: its handles, edges or inside. */
  isEditing(target) {
    return target instanceof Element && target.closest(".a9s-annotation.selected") !== null;
  }

  isHandle(target) {
    return target instanceof Element && target.closest(".a9s-handle, .a9s-touch-handle, .a9s-edge-handle, .a9s-polygon-midpoint") !== null;
  }

  /** Corners of a polygon that were clicked: Delete is theirs. */
  hasSelectedCorners() {
    return this.svg?.querySelector(".a9s-handle-selected") != null;
  }

  /** Undoes what Annotorious does when a corner is dragged quickly: it takes that for a click, and picks the corner. */
  async unpickCorners() {
    if (!this.hasSelectedCorners()) return;
    const { selection } = this.annotator.state;
    const [{ id }] = selection.selected;
    this.byUs = true;
    selection.clear();
    await null; // its editor goes
    if (this.annotator?.state.store.getAnnotation(id)) selection.setSelected(id, true);
    this.byUs = false;
  }

  grab() {
    this.pointerDown = true;
  }

  release() {
    this.pointerDown = false;
    this.commit();
  }

  /** Forgets an edit that is under way; the caller syncs afterwards. */
  abandon() {
    this.pointerDown = false;
    this.changed = null;
    this.byUs = true;
    this.annotator?.state.selection.clear();
    this.byUs = false;
  }

  observed({ changes }) {
    if (this.byUs) return;
    for (const { newValue } of changes.updated ?? []) {
      this.changed = newValue.id;
      this.onDrag(newValue.id, geometryOf(newValue.target.selector));
    }
    // Corners deleted by the keyboard: no pointer will be released.
    if (this.changed && !this.pointerDown) setTimeout(() => this.commit());
  }

  commit() {
    const id = this.changed;
    this.changed = null;
    const annotation = id && this.annotator?.state.store.getAnnotation(id);
    if (annotation) this.onEdited(id, geometryOf(annotation.target.selector));
  }
}

/** An object of several polygons is found by the box around it. */
function selectorOf({ kind, box: [minX, minY, maxX, maxY], points }) {
  const bounds = { minX, minY, maxX, maxY };
  return kind === "box" || kind === "parts"
    ? { type: "RECTANGLE", geometry: { x: minX, y: minY, w: maxX - minX, h: maxY - minY, rot: 0, bounds } }
    : { type: "POLYGON", geometry: { points, bounds } };
}

function geometryOf({ type, geometry }) {
  if (type === "POLYGON") return { points: geometry.points, box: spanOf(geometry.points) };
  const { x, y, w, h } = geometry;
  return { box: [x, y, x + w, y + h], points: null };
}

function spanOf(points) {
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
