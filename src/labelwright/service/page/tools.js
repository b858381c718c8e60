/* What helps while labeling and is never sent: shapes that are hidden or locked for now, copies, and how the picture is
   shown. */

import { toggleAdjust } from "./adjust.js";
import { toggleCrosshair } from "./crosshair.js";
import { boundsOf, drawn, faultOf, fromObject, newId, sameObjects, shapeCount } from "./shapes.js";
import { DeskSubmitting } from "./submitting.js";
import { text } from "./texts.js";

let clipboard = null; // a shape; it outlives the image, and the campaign

export class DeskTools extends DeskSubmitting {
  /** Starts drawing again with the tool that was used last; closes a polygon that is being drawn. */
  drawAgain() {
    if (this.gestures.corners.length) return void this.gestures.closePolygon();
    this.select(null);
    if (this.tool === "pan") this.setTool(this.mayDraw(this.lastTool) ? this.lastTool : this.mayDraw("box") ? "box" : "polygon");
  }

  toggleAdjust() {
    toggleAdjust(() => this.canvas.focus());
  }

  toggleCrosshair() {
    this.say(text(toggleCrosshair() ? "crosshair.on" : "crosshair.off"));
  }

  sayWhatIsKept() {
    this.say(this.savedText()[0]);
    return true;
  }

  // --- hidden and locked shapes, until another image is opened

  toggleHidden(id = this.selectedId) {
    if (id === null) return void this.say(text("hide.none"));
    toggle(this.hidden, id);
    this.render();
    this.notices.live(text(this.hidden.has(id) ? "hide.hidden" : "hide.shown"));
  }

  /** Hides all but the selected shape; when some are hidden, shows all again. */
  hideOthers() {
    if (this.hidden.size) this.hidden.clear();
    else for (const { id } of drawn(this.shapes)) if (id !== this.selectedId) this.hidden.add(id);
    this.render();
    this.say(this.hidden.size ? text("hide.others", { count: this.hidden.size }) : text("hide.all"));
  }

  toggleLock(id = this.selectedId) {
    if (id === null) return void this.say(text("lock.none"));
    toggle(this.locked, id);
    this.render();
    this.notices.live(text(this.locked.has(id) ? "lock.locked" : "lock.unlocked"));
  }

  lockAll() {
    const shapes = drawn(this.shapes);
    const all = shapes.length > 0 && shapes.every(({ id }) => this.locked.has(id));
    if (all) this.locked.clear();
    else for (const { id } of shapes) this.locked.add(id);
    this.render();
    this.say(text(all ? "lock.allUnlocked" : "lock.allLocked"));
  }

  /** Says so when a shape is locked: it is not changed. */
  refuseLocked(id) {
    if (!this.locked.has(id)) return false;
    this.say(text("lock.refused"), "warn");
    return true;
  }

  // --- copies

  /** False when there is nothing to copy, or when the labeler copies text. */
  copy() {
    if (!this.selected?.box || !getSelection().isCollapsed) return false;
    clipboard = this.selected;
    this.say(text("copy.copied"));
    return true;
  }

  /** At its place; beside itself when it is there already. */
  paste() {
    if (!clipboard) return false;
    if (this.readOnly) return this.refuse();
    const { size } = this.viewport;
    const there = this.shapes.some((shape) => sameObjects([shape], [{ ...clipboard, label: shape.label, attributes: shape.attributes, confidence: shape.confidence }]));
    const by = there ? Math.max(1, Math.round(size.width / 100)) : 0;
    const shape = fitted(clipboard, size, by) ?? fitted(clipboard, size, -by);
    if (!shape) return void this.say(text("copy.noRoom"), "warn");
    if (!this.labels.allows(shape.label)) shape.label = this.label;
    clipboard = { ...shape };
    this.labels.learn(shape.label);
    this.change({ shapes: [...this.shapes, shape], nothing: false }, { select: shape.id, say: text("copy.pasted") });
    return true;
  }

  /** The shapes of the image before, submitted or drafted, in one step; those that are here already are not doubled. */
  async copyFromPrevious() {
    if (this.readOnly) return void this.refuse();
    const before = this.images[this.position - 1];
    if (!before) return void this.say(text("repeat.first"));
    const { imageId, viewport, state } = this;
    let shapes = this.drafts.get(before.image_id)?.shapes;
    try {
      shapes ??= (await this.record(before.image_id)).objects.map(fromObject);
    } catch (error) {
      return void this.say(error.message, "bad");
    }
    if (this.imageId !== imageId || this.state !== state) return;
    const has = (shape) => this.shapes.some((one) => (shape.kind === "image" ? one.kind === "image" && one.label === shape.label : sameObjects([one], [{ ...shape, confidence: one.confidence }])));
    const fresh = shapes.map((shape) => fitted(shape, viewport.size)).filter((shape) => shape && !has(shape));
    if (!shapes.length) return void this.say(text("repeat.empty"));
    if (!fresh.length) return void this.say(text("repeat.nothingNew"));
    for (const { label } of fresh) this.labels.learn(label);
    this.change({ shapes: [...this.shapes, ...fresh], nothing: false }, { select: null });
    this.say(text("repeat.copied", { shapes: shapeCount(fresh) }));
  }
}

function toggle(set, member) {
  if (!set.delete(member)) set.add(member);
}

/** A copy that lies inside the picture, moved by `by` pixels; null when it does not fit there. */
function fitted(shape, { width, height }, by = 0) {
  const copy = { ...shape, id: newId(), confidence: 1, attributes: { ...shape.attributes } };
  if (shape.kind === "image") return copy;
  const moved = (points) => points.map(([x, y]) => [x + by, y + by]);
  const inside = ([x, y]) => x >= 0 && y >= 0 && x <= width && y <= height;
  if (shape.kind === "box") {
    const [xmin, ymin, xmax, ymax] = shape.box.map((value) => value + by);
    const box = [Math.max(0, xmin), Math.max(0, ymin), Math.min(width, xmax), Math.min(height, ymax)];
    return box[2] - box[0] >= 1 && box[3] - box[1] >= 1 ? { ...copy, box } : null;
  }
  if (shape.kind === "parts") {
    const parts = shape.parts.map(moved);
    return parts.flat().every(inside) ? { ...copy, parts, box: boundsOf(parts.flat()) } : null;
  }
  const points = moved(shape.points);
  return points.every(inside) && !faultOf(points) ? { ...copy, points, box: boundsOf(points) } : null;
}
