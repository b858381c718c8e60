/* Mouse, pen and fingers on the picture: drawing, selecting, panning, pinching. They are caught on their way down, before
   Annotorious sees them; it gets only those that edit the selected shape. */

import { boxBetween, faultOf, pixel, tidyCorners } from "./shapes.js";
import { text } from "./texts.js";

const CLICK_REACH = 4; // CSS pixels that a click may wobble
const CLOSE_REACH = { mouse: 10, pen: 14, touch: 22 };

export class Gestures {
  /** `desk`: what the page lets a gesture do (see main.js). */
  constructor(element, viewport, canvas, paint, desk) {
    Object.assign(this, { element, viewport, canvas, paint, desk });
    this.pointers = new Map();
    this.doing = null; // {kind, ...}
    this.corners = []; // of the polygon that is being drawn
    this.cursor = null;
    this.spaceHeld = false;
    element.addEventListener("pointerdown", (e) => this.down(e), true);
    element.addEventListener("pointermove", (e) => this.move(e), true);
    element.addEventListener("pointerup", (e) => this.up(e), true);
    element.addEventListener("pointercancel", (e) => this.cancelPointer(e), true);
    element.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    element.addEventListener("contextmenu", (e) => e.preventDefault());
    element.addEventListener("auxclick", (e) => e.preventDefault());
    element.addEventListener("dragstart", (e) => e.preventDefault());
  }

  get size() {
    return this.viewport.size;
  }

  get drawing() {
    return this.corners.length > 0 || this.doing?.kind === "box";
  }

  imagePoint(event) {
    return this.viewport.toImage(event.clientX, event.clientY);
  }

  scale() {
    return this.viewport.size.width / this.viewport.width; // image pixels to a CSS pixel
  }

  wobbled(from, here) {
    return Math.hypot(here[0] - from[0], here[1] - from[1]) >= CLICK_REACH;
  }

  down(event) {
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (event.pointerType === "touch" && this.pointers.size === 2) return this.startPinch(event);
    if (this.pointers.size > 1) return this.swallow(event);
    const tool = this.desk.tool();
    const panning = event.button === 1 || this.spaceHeld || tool === "pan" || this.desk.readOnly();
    const mayEdit = event.button === 0 && !this.spaceHeld && !this.corners.length && !this.desk.readOnly();
    if (mayEdit && this.canvas.isEditing(event.target) && (!event.shiftKey || this.canvas.isHandle(event.target))) {
      // Annotorious moves, resizes, or takes a corner.
      this.doing = { kind: "edit", from: [event.clientX, event.clientY], moved: false, handle: this.canvas.isHandle(event.target) };
      this.canvas.grab();
      return undefined;
    }
    this.swallow(event);
    if (event.button > 1) return undefined;
    this.canvas.focus();
    this.capture(event);
    const from = [event.clientX, event.clientY];
    if (panning) this.doing = { kind: "pan", from, last: from, moved: false, middle: event.button === 1 };
    else this.doing = { kind: tool, from, start: this.imagePoint(event), moved: false };
    this.element.classList.toggle("panning", panning);
    return undefined;
  }

  move(event) {
    const here = [event.clientX, event.clientY];
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, here);
    this.desk.pointAt(this.imagePoint(event));
    if (this.doing?.kind === "edit") {
      this.doing.moved ||= this.wobbled(this.doing.from, here);
      return;
    }
    if (this.doing?.kind === "pinch") {
      this.swallow(event);
      this.pinch();
      return;
    }
    if (!this.doing) {
      if (this.corners.length) this.follow(event);
      return;
    }
    this.swallow(event);
    const { doing } = this;
    doing.moved ||= this.wobbled(doing.from, here);
    if (doing.kind === "pan" && doing.moved) {
      this.viewport.panBy(here[0] - doing.last[0], here[1] - doing.last[1]);
      doing.last = here;
    } else if (doing.kind === "box" && doing.moved) {
      const [xmin, ymin, xmax, ymax] = boxBetween(doing.start, this.imagePoint(event), this.size);
      this.paint.band([[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]], { colour: this.desk.colour() });
    } else if (doing.kind === "polygon") this.follow(event);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const { doing } = this;
    if (doing?.kind === "edit") {
      this.doing = null;
      const click = !doing.moved && !doing.handle;
      const point = this.imagePoint(event);
      this.canvas.release();
      if (doing.moved && doing.handle) setTimeout(() => this.canvas.unpickCorners());
      // A click on the selected shape may mean a smaller one inside it: decided after Annotorious has seen it too.
      if (click) setTimeout(() => this.desk.select(this.canvas.at(point, 2 * this.scale())));
      return;
    }
    this.swallow(event);
    if (doing?.kind === "pinch") {
      if (this.pointers.size === 0) this.doing = null;
      return;
    }
    this.doing = null;
    this.element.classList.remove("panning");
    if (!doing) return;
    const point = this.imagePoint(event);
    if (doing.kind === "polygon") this.addCorner(event);
    else if (doing.kind === "box" && doing.moved) {
      this.paint.band(null);
      this.desk.drewBox(boxBetween(doing.start, point, this.size));
    } else if (!doing.moved && !doing.middle) {
      this.desk.select(this.canvas.at(point, (event.pointerType === "touch" ? 10 : 2) * this.scale()));
    }
  }

  cancelPointer(event) {
    this.pointers.delete(event.pointerId);
    this.element.classList.remove("panning");
    if (this.doing?.kind === "edit") this.canvas.release();
    if (this.pointers.size === 0) this.doing = null;
    if (!this.corners.length) this.paint.band(null);
  }

  // --- polygons, corner by corner

  addCorner(event) {
    const point = pixel(this.imagePoint(event), this.size);
    if ((event.ctrlKey || event.metaKey) && !this.corners.length) {
      this.desk.select(this.canvas.at(point, 2 * this.scale()));
      return;
    }
    const now = performance.now();
    const again = this.lastCorner && now - this.lastCorner.time < 350 && this.near(this.lastCorner.at, event, CLICK_REACH + 2);
    this.lastCorner = { time: now, at: point };
    if (this.corners.length >= 3 && (again || this.closes(event))) return void this.closePolygon();
    if (again && this.corners.length) return;
    if (!this.corners.length) this.desk.startPolygon();
    this.corners.push(point);
    this.desk.cornersChanged();
    this.follow(event);
  }

  near(point, event, reach) {
    const [x, y] = this.imagePoint(event);
    return Math.hypot(x - point[0], y - point[1]) <= reach * this.scale();
  }

  closes(event) {
    return this.corners.length >= 3 && this.near(this.corners[0], event, CLOSE_REACH[event.pointerType] ?? 10);
  }

  follow(event) {
    if (!this.corners.length) return;
    this.cursor = this.closes(event) ? this.corners[0] : pixel(this.imagePoint(event), this.size);
    this.paintPolygon();
  }

  paintPolygon() {
    this.paint.band([...this.corners, ...(this.cursor ? [this.cursor] : [])], {
      closed: this.cursor !== null && this.cursor === this.corners[0],
      colour: this.desk.colour(),
      dots: this.corners,
      first: this.corners.length >= 3 ? this.corners[0] : null,
      radius: 4 * this.scale(),
    });
  }

  closePolygon() {
    const points = tidyCorners(this.corners, this.size);
    const fault = faultOf(points);
    if (fault) {
      this.desk.say(text("shape.start_over", { fault }), "warn");
      return false;
    }
    this.corners = [];
    this.cursor = null;
    this.paint.band(null);
    this.desk.drewPolygon(points);
    return true;
  }

  dropCorner() {
    this.corners.pop();
    this.lastCorner = null;
    if (this.corners.length) this.paintPolygon();
    else this.paint.band(null);
    this.desk.cornersChanged();
  }

  /** True when something was under way and is not any more. */
  cancel() {
    const busy = this.drawing;
    this.corners = [];
    this.cursor = null;
    this.lastCorner = null;
    this.desk.cornersChanged();
    if (this.doing?.kind === "edit") {
      this.canvas.abandon();
      this.doing = null;
      this.desk.redraw();
      return true;
    }
    if (this.doing?.kind === "box" || this.doing?.kind === "polygon") this.doing = null;
    this.paint.band(null);
    return busy;
  }

  // --- zoom

  wheel(event) {
    event.preventDefault();
    if (event.shiftKey) {
      this.viewport.panBy(-(event.deltaX || event.deltaY), event.deltaX ? -event.deltaY : 0);
      return;
    }
    const lines = event.deltaMode === 1 ? 16 : 1;
    // A pinch on a trackpad comes as a wheel with Ctrl and small steps.
    const delta = Math.max(-120, Math.min(120, event.deltaY * lines));
    this.viewport.zoomBy(Math.exp(-delta * (event.ctrlKey ? 0.01 : 0.0022)), event.clientX, event.clientY);
    if (this.corners.length) this.paintPolygon();
  }

  startPinch(event) {
    this.swallow(event);
    if (this.doing?.kind === "edit") {
      this.canvas.abandon();
      this.desk.redraw();
    }
    if (!this.corners.length) this.paint.band(null);
    for (const id of this.pointers.keys()) this.captureId(id);
    this.doing = { kind: "pinch", last: this.span() };
  }

  span() {
    const [[ax, ay], [bx, by]] = [...this.pointers.values()];
    return { x: (ax + bx) / 2, y: (ay + by) / 2, distance: Math.max(20, Math.hypot(ax - bx, ay - by)) };
  }

  pinch() {
    if (this.pointers.size < 2) return;
    const { last } = this.doing;
    const now = this.span();
    this.viewport.panBy(now.x - last.x, now.y - last.y);
    this.viewport.zoomBy(now.distance / last.distance, now.x, now.y);
    this.doing.last = now;
    if (this.corners.length) this.paintPolygon();
  }

  swallow(event) {
    event.stopPropagation();
  }

  capture(event) {
    this.captureId(event.pointerId);
  }

  /** Moves and the release come here even when the pointer leaves the picture or the window. */
  captureId(id) {
    try {
      this.element.setPointerCapture(id);
    } catch {
      // The finger is already gone.
    }
  }
}
