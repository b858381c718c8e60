/* Zoom and pan: the stage is laid out at the size it is shown in, and shifted by whole CSS pixels. No CSS scale, so that
   Annotorious keeps its handles the same size, and one CSS pixel is always the same number of image pixels. */

const MARGIN = 24;
const MAX_CSS_PIXELS = 60_000;
const CLICK_STEP = 1.25;
const MOST_ENLARGED = 8;
const TINY = 320; // CSS pixels that the smallest pictures get: fingers need them

export class Viewport {
  constructor(element, stage, onChange) {
    this.element = element;
    this.stage = stage;
    this.onChange = onChange;
    this.size = { width: 1, height: 1 };
    this.zoom = 1;
    this.x = 0;
    this.y = 0;
    this.fitted = true;
    new ResizeObserver(() => (this.fitted ? this.fit() : this.apply())).observe(element);
  }

  show(size) {
    this.size = size;
    this.fit();
  }

  get fitZoom() {
    const { clientWidth, clientHeight } = this.element;
    const room = Math.min((clientWidth - 2 * MARGIN) / this.size.width, (clientHeight - 2 * MARGIN) / this.size.height);
    return Math.max(room, 0.01);
  }

  fit() {
    // Small pictures are enlarged, but not to a blur.
    this.zoom = Math.min(this.fitZoom, Math.max(MOST_ENLARGED, TINY / Math.max(this.size.width, this.size.height)));
    this.centre();
    this.fitted = true;
    this.apply();
  }

  centre() {
    this.x = Math.round((this.element.clientWidth - this.width) / 2);
    this.y = Math.round((this.element.clientHeight - this.height) / 2);
  }

  get width() {
    return Math.max(1, Math.round(this.size.width * this.zoom));
  }

  get height() {
    return Math.max(1, Math.round(this.size.height * this.zoom));
  }

  /** Zooms by a factor; the image's point under (clientX, clientY) stays there. Without a point: the middle. */
  zoomBy(factor, clientX, clientY) {
    const frame = this.element.getBoundingClientRect();
    const atX = (clientX ?? frame.left + frame.width / 2) - frame.left;
    const atY = (clientY ?? frame.top + frame.height / 2) - frame.top;
    const fractionX = (atX - this.x) / this.width;
    const fractionY = (atY - this.y) / this.height;
    const most = Math.min(40, MAX_CSS_PIXELS / Math.max(this.size.width, this.size.height));
    const least = Math.min(this.fitZoom, 1) / 2;
    this.zoom = Math.min(Math.max(this.zoom * factor, least), Math.max(most, least));
    this.x = Math.round(atX - fractionX * this.width);
    this.y = Math.round(atY - fractionY * this.height);
    this.fitted = false;
    this.apply();
  }

  step(direction) {
    this.zoomBy(direction > 0 ? CLICK_STEP : 1 / CLICK_STEP);
  }

  panBy(dx, dy) {
    this.x = Math.round(this.x + dx);
    this.y = Math.round(this.y + dy);
    this.fitted = false;
    this.apply();
  }

  /** Brings a box of the image into view when it is not. */
  reveal([xmin, ymin, xmax, ymax]) {
    const scale = this.width / this.size.width;
    const middle = [((xmin + xmax) / 2) * scale + this.x, ((ymin + ymax) / 2) * scale + this.y];
    const { clientWidth, clientHeight } = this.element;
    if (middle[0] >= 0 && middle[1] >= 0 && middle[0] <= clientWidth && middle[1] <= clientHeight) return;
    this.panBy(clientWidth / 2 - middle[0], clientHeight / 2 - middle[1]);
  }

  apply() {
    // The picture cannot be lost: some of it always stays in sight.
    const { clientWidth, clientHeight } = this.element;
    const keep = 60;
    this.x = Math.min(Math.max(this.x, keep - this.width), clientWidth - keep);
    this.y = Math.min(Math.max(this.y, keep - this.height), clientHeight - keep);
    Object.assign(this.stage.style, {
      width: `${this.width}px`,
      height: `${this.height}px`,
      transform: `translate(${this.x}px, ${this.y}px)`,
    });
    this.stage.classList.toggle("magnified", this.zoom >= 3);
    this.onChange();
  }

  /** The point of the image under a point of the window: exact, not rounded, not clamped. */
  toImage(clientX, clientY) {
    const frame = this.element.getBoundingClientRect();
    return [
      ((clientX - frame.left - this.x) / this.width) * this.size.width,
      ((clientY - frame.top - this.y) / this.height) * this.size.height,
    ];
  }

  /** The middle of what is seen of the image, and the width and height of that, in image pixels. */
  seen() {
    const frame = this.element.getBoundingClientRect();
    const clampTo = ([x, y]) => [Math.min(Math.max(x, 0), this.size.width), Math.min(Math.max(y, 0), this.size.height)];
    const [left, top] = clampTo(this.toImage(frame.left, frame.top));
    const [right, bottom] = clampTo(this.toImage(frame.right, frame.bottom));
    return { x: (left + right) / 2, y: (top + bottom) / 2, width: right - left, height: bottom - top };
  }
}
