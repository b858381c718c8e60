/* What can be done to the shapes of an image: every change is one step that can be undone. */

import { searchLabel } from "./dialogs.js";
import { describe, drawn, makeBox, makePolygon, pixel, withGeometry } from "./shapes.js";
import { text } from "./texts.js";
import { DeskView } from "./view.js";

export class DeskEditing extends DeskView {
  select(id) {
    const shapes = drawn(this.shapes);
    this.selectedId = shapes.some((shape) => shape.id === id) ? id : null;
    this.corner = null;
    this.render();
    const shape = this.selected;
    if (!shape) return;
    this.viewport.reveal(shape.box);
    const place = shapes.indexOf(shape) + 1;
    this.notices.live(text("shape.selected", { label: this.labels.shown(shape.label), shape: describe(shape), number: place, total: shapes.length }));
  }

  /** `kind` of what `make(label, attributes)` returns. */
  async add(kind, make) {
    if (this.readOnly) return void this.refuse();
    if (!this.mayDraw(kind)) return void this.refuseTool(kind);
    if (this.label === null) {
      const name = await searchLabel(this.labels);
      if (name === null) return;
      this.learn(name);
    }
    const shape = make(this.label, this.labels.attributesFor(this.label));
    const state = { shapes: [...this.shapes, shape], nothing: false };
    this.change(state, { select: shape.id, say: text("shape.added", { label: this.labels.shown(shape.label), shape: describe(shape) }) });
  }

  learn(name) {
    this.labels.learn(name);
    this.label = name;
  }

  /** Whether the chosen label is drawn with this tool. */
  mayDraw(tool) {
    return this.label === null ? this.labels.free : this.labels.takes(this.label, tool);
  }

  refuseTool(tool) {
    if (this.label === null) this.say(text("tool.none"), "warn");
    else this.say(text(`tool.not_${tool}`, { label: this.labels.shown(this.label) }), "warn");
  }

  /** The tool that the chosen label is drawn with. */
  followLabel() {
    if (this.tool !== "pan" && this.mayDraw(this.tool)) return;
    this.setTool(["box", "polygon"].find((tool) => this.mayDraw(tool)) ?? "pan");
  }

  replace(shape, options) {
    if (this.refuseLocked(shape.id)) return false;
    const shapes = this.shapes.map((one) => (one.id === shape.id ? shape : one));
    return this.change({ ...this.state, shapes }, { select: shape.id, ...options });
  }

  /** After Annotorious: the geometry is made fit for the image, and given back. */
  edited(id, geometry) {
    const shape = this.shapes.find((one) => one.id === id);
    const changed = shape && !this.readOnly && withGeometry(shape, geometry, this.viewport.size);
    if (!changed || changed === shape) this.render();
    else this.replace(changed);
  }

  nudge(dx, dy, { resize, amend }) {
    const shape = this.selected;
    if (!shape) return false;
    if (this.readOnly) return this.refuse();
    if (shape.kind === "parts") return void this.say(text("shape.parts_fixed"));
    let geometry;
    const corner = this.corner;
    if (shape.points) {
      const moves = (i) => corner === null || i === corner;
      geometry = { points: shape.points.map(([x, y], i) => (moves(i) ? [x + dx, y + dy] : [x, y])) };
      if (corner !== null) geometry.points[corner] = pixel(geometry.points[corner], this.viewport.size);
      if (resize && corner === null) geometry = { points: stretched(shape, dx, dy) };
    } else {
      const [xmin, ymin, xmax, ymax] = shape.box;
      geometry = resize
        ? { box: [xmin, ymin, Math.max(xmin + 1, xmax + dx), Math.max(ymin + 1, ymax + dy)] }
        : { box: [xmin + dx, ymin + dy, xmax + dx, ymax + dy] };
    }
    const changed = withGeometry(shape, geometry, this.viewport.size);
    if (!changed || changed === shape) return true;
    if (corner !== null && changed.points.length !== shape.points.length) return true;
    this.replace(changed, { amend, say: describe(changed) });
    this.corner = corner;
    this.markCorner();
    return true;
  }

  nextCorner(direction) {
    const points = this.selected?.points;
    if (!points) return void this.say(text("shape.no_polygon"));
    const before = this.corner ?? (direction > 0 ? -1 : 0);
    this.corner = (before + direction + points.length) % points.length;
    this.markCorner();
    this.notices.live(text("shape.corner", { number: this.corner + 1, total: points.length, place: points[this.corner].join(", ") }));
  }

  markCorner() {
    const point = this.corner === null ? null : this.selected?.points?.[this.corner];
    this.paint.corner(point, (8 * this.viewport.size.width) / this.viewport.width);
  }

  plus() {
    const { corner, selected } = this;
    if (corner === null || !selected) return this.zoom(1);
    const { points } = selected;
    const [a, b] = [points[corner], points[(corner + 1) % points.length]];
    const middle = pixel([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], this.viewport.size);
    const changed = withGeometry(selected, { points: points.toSpliced(corner + 1, 0, middle) }, this.viewport.size);
    if (changed.points.length === points.length) return void this.say(text("shape.no_room"));
    if (this.replace(changed, { say: text("shape.corner_added") })) {
      this.corner = corner + 1;
      this.markCorner();
    }
    return undefined;
  }

  deleteKey() {
    if (this.gestures.corners.length) return void this.gestures.dropCorner();
    if (this.canvas.hasSelectedCorners()) return false; // Annotorious deletes those
    if (this.corner !== null && this.selected?.points) return void this.deleteCorner();
    return this.deleteSelected();
  }

  deleteCorner() {
    const { points } = this.selected;
    if (points.length < 4) return void this.say(text("shape.three_corners"));
    const geometry = { points: points.toSpliced(this.corner, 1) };
    const corner = this.corner % geometry.points.length;
    if (this.replace(withGeometry(this.selected, geometry, this.viewport.size), { say: text("shape.corner_deleted") })) {
      this.corner = corner;
      this.markCorner();
    }
    return undefined;
  }

  deleteSelected() {
    if (!this.selected || this.refuseLocked(this.selectedId)) return;
    const shapes = this.shapes.filter(({ id }) => id !== this.selectedId);
    this.change({ ...this.state, shapes }, { select: null, say: text("shape.deleted") });
  }

  /** Without a mouse: in the middle of what is seen, a quarter of it wide and high. */
  insert(kind) {
    const { x, y, width, height } = this.viewport.seen();
    const [w, h] = [Math.max(width / 8, 1), Math.max(height / 8, 1)];
    const { size } = this.viewport;
    const [xmin, ymin] = pixel([x - w, y - h], size);
    const [xmax, ymax] = pixel([x + w, y + h], size);
    if (kind === "box") return this.add("box", (label, attributes) => makeBox(label, attributes, [xmin, ymin, Math.max(xmax, xmin + 1), Math.max(ymax, ymin + 1)]));
    return this.add("polygon", (label, attributes) => makePolygon(label, attributes, [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]]));
  }

  cycle(direction) {
    const shapes = drawn(this.shapes);
    if (!shapes.length) return;
    const at = shapes.findIndex(({ id }) => id === this.selectedId);
    const next = at < 0 ? (direction > 0 ? 0 : shapes.length - 1) : at + direction;
    this.select(shapes[(next + shapes.length) % shapes.length].id);
  }

  chooseLabelAt(place) {
    const name = this.labels.names[place];
    if (name !== undefined) this.chooseLabel(name);
    return true;
  }

  chooseLabel(name) {
    this.learn(name);
    this.labels.used(name);
    const shape = this.selected;
    if (shape && shape.label !== name && !this.readOnly) this.relabel(shape, name);
    if (this.tool !== "pan") this.followLabel();
    this.render();
    this.notices.live(text("label.chosen", { label: this.labels.shown(name) }));
  }

  /** A shape that the label is not drawn as keeps its own: the new label is for what is drawn next. */
  relabel(shape, name) {
    if (this.labels.takes(name, shape.kind)) {
      const attributes = this.labels.attributesFor(name, shape.attributes);
      this.replace({ ...shape, label: name, attributes, confidence: 1 });
    } else if (this.tool === "pan") this.refuseTool(shape.kind);
    else this.selectedId = null;
  }

  async search() {
    if (this.readOnly) return void this.refuse();
    const name = await searchLabel(this.labels);
    if (name !== null) this.chooseLabel(name);
    this.canvas.focus();
  }

  toggleNothing() {
    if (drawn(this.shapes).length) return void this.say(text("nothing.has_shapes"), "warn");
    if (this.shapes.length) return void this.say(text("nothing.has_labels"), "warn");
    const nothing = !this.state.nothing;
    this.change({ ...this.state, nothing }, { say: text(nothing ? "nothing.said" : "nothing.taken_back") });
  }

  undo() {
    this.travel(() => this.history.undo(), "undo");
  }

  redo() {
    this.travel(() => this.history.redo(), "redo");
  }

  travel(go, direction) {
    if (this.gestures.corners.length) return void this.gestures.dropCorner();
    if (this.readOnly) return void this.refuse();
    if (!go()) return void this.say(text(`${direction}.nothing`));
    if (!this.selected) this.selectedId = null;
    this.corner = null;
    this.changed();
    this.notices.live(text(`${direction}.done`, { count: this.shapes.length }));
  }
}

function stretched({ points, box: [xmin, ymin, xmax, ymax] }, dx, dy) {
  const scale = (value, low, high, by) => (high > low ? low + ((value - low) * Math.max(1, high - low + by)) / (high - low) : value);
  return points.map(([x, y]) => [scale(x, xmin, xmax, dx), scale(y, ymin, ymax, dy)]);
}
