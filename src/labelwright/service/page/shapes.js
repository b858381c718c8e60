/* What is drawn: boxes and polygons in pixels of the image as displayed. Plain data, no page.

   A shape is {id, kind, label, confidence, attributes, box: [xmin, ymin, xmax, ymax], points: [[x, y], ...] | null}; its
   kind is "box", "polygon", "parts" (one object of several polygons, in `parts`; they come from the server and are not
   edited here) or "image" (a label of the whole image: box and points are null). What a model predicted also has an
   origin, "prediction" or "corrected", and a model_version where it is known (suggestions.js).
   What a labeler draws or changes lies on whole pixels; what came from the server stays as it came until it is touched. */

import { text } from "./texts.js";

let last = 0;
export const newId = () => `s${Date.now().toString(36)}-${(last += 1)}`;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The nearest point of the image, on whole pixels. */
export function pixel([x, y], size) {
  return [clamp(Math.round(x), 0, size.width), clamp(Math.round(y), 0, size.height)];
}

export function boundsOf(points) {
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** A box between two corners, at least one pixel wide and high, inside the image. */
export function boxBetween(a, b, size) {
  const [ax, ay] = pixel(a, size);
  const [bx, by] = pixel(b, size);
  const [xmin, xmax] = apart(Math.min(ax, bx), Math.max(ax, bx), size.width);
  const [ymin, ymax] = apart(Math.min(ay, by), Math.max(ay, by), size.height);
  return [xmin, ymin, xmax, ymax];
}

function apart(low, high, limit) {
  if (high > low) return [low, high];
  return low < limit ? [low, low + 1] : [limit - 1, limit];
}

export function makeBox(label, attributes, box) {
  return { id: newId(), kind: "box", label, confidence: 1, attributes, box, points: null };
}

export function makePolygon(label, attributes, points) {
  return { id: newId(), kind: "polygon", label, confidence: 1, attributes, box: boundsOf(points), points };
}

export function makeWholeImage(label, attributes) {
  return { id: newId(), kind: "image", label, confidence: 1, attributes, box: null, points: null };
}

/** Those that are drawn on the picture, without the labels of the whole image. */
export const drawn = (shapes) => shapes.filter(({ kind }) => kind !== "image");

/** Corners on whole pixels inside the image, neighbours that fell together made one. */
export function tidyCorners(points, size) {
  const tidy = [];
  for (const point of points.map((p) => pixel(p, size))) {
    const before = tidy[tidy.length - 1];
    if (!before || before[0] !== point[0] || before[1] !== point[1]) tidy.push(point);
  }
  while (tidy.length > 1 && tidy[0][0] === tidy.at(-1)[0] && tidy[0][1] === tidy.at(-1)[1]) tidy.pop();
  return tidy;
}

/** The shape with a new geometry, as it may be kept: moved back into the image when it was moved, cut when it was
    resized. `geometry` is {box} or {points}; null when nothing of it is left. */
export function withGeometry(shape, geometry, size) {
  const limits = [size.width, size.height];
  if (shape.kind === "parts") return shape;
  if (shape.kind === "box") {
    const box = inside(shape.box, geometry.box, limits);
    return same(box, shape.box) ? shape : { ...shape, box, confidence: 1 };
  }
  let points = geometry.points;
  if (movedAsOne(shape.points, points)) points = shiftedInside(points, limits);
  points = tidyCorners(points, size);
  if (points.length < 3) return null;
  if (same(points.flat(), shape.points.flat())) return shape;
  return { ...shape, points, box: boundsOf(points), confidence: 1 };
}

function inside(before, box, limits) {
  const moved =
    Math.abs(box[2] - box[0] - (before[2] - before[0])) < 1e-6 && Math.abs(box[3] - box[1] - (before[3] - before[1])) < 1e-6;
  if (moved) {
    const width = box[2] - box[0];
    const height = box[3] - box[1];
    const x = clamp(Math.round(box[0]), 0, Math.max(0, Math.floor(limits[0] - width)));
    const y = clamp(Math.round(box[1]), 0, Math.max(0, Math.floor(limits[1] - height)));
    return [x, y, x + width, y + height];
  }
  // An edge that nobody touched stays where it is, whole pixel or not.
  const edge = (i) => (Math.abs(box[i] - before[i]) < 1e-6 ? before[i] : Math.round(box[i]));
  const [xmin, xmax] = apart(clamp(edge(0), 0, limits[0]), clamp(edge(2), 0, limits[0]), limits[0]);
  const [ymin, ymax] = apart(clamp(edge(1), 0, limits[1]), clamp(edge(3), 0, limits[1]), limits[1]);
  return [xmin, ymin, xmax, ymax];
}

function movedAsOne(before, after) {
  if (before.length !== after.length) return false;
  const [dx, dy] = [after[0][0] - before[0][0], after[0][1] - before[0][1]];
  return after.every((p, i) => Math.abs(p[0] - before[i][0] - dx) < 1e-6 && Math.abs(p[1] - before[i][1] - dy) < 1e-6);
}

function shiftedInside(points, [width, height]) {
  const [xmin, ymin, xmax, ymax] = boundsOf(points);
  const dx = xmin < 0 ? -xmin : xmax > width ? width - xmax : 0;
  const dy = ymin < 0 ? -ymin : ymax > height ? height - ymax : 0;
  return points.map(([x, y]) => [x + dx, y + dy]);
}

const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/** Why the service would refuse a polygon, or null. */
export function faultOf(points) {
  if (points.length < 3) return text("shape.same_corners");
  if (points.slice(2).every((p) => turn(points[0], points[1], p) === 0)) return text("shape.on_a_line");
  const n = points.length;
  for (let i = 0; i < n; i += 1) {
    for (let j = i + 1; j < n; j += 1) {
      if (meet(points, i, j)) return text("shape.edges_cross");
    }
  }
  return null;
}

function turn(a, b, c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

function meet(points, i, j) {
  const n = points.length;
  const [a, b, c, d] = [points[i], points[(i + 1) % n], points[j], points[(j + 1) % n]];
  if (j === i + 1) return turn(a, b, d) === 0 && sameSide(b, a, d);
  if (i === 0 && j === n - 1) return turn(c, a, b) === 0 && sameSide(a, c, b);
  const [t1, t2, t3, t4] = [turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)];
  if (t1 > 0 !== t2 > 0 && t3 > 0 !== t4 > 0 && t1 && t2 && t3 && t4) return true;
  return (
    (t1 === 0 && between(c, a, b)) || (t2 === 0 && between(d, a, b)) || (t3 === 0 && between(a, c, d)) || (t4 === 0 && between(b, c, d))
  );
}

function between(p, a, b) {
  return (
    Math.min(a[0], b[0]) <= p[0] && p[0] <= Math.max(a[0], b[0]) && Math.min(a[1], b[1]) <= p[1] && p[1] <= Math.max(a[1], b[1])
  );
}

function sameSide(corner, a, b) {
  return (a[0] - corner[0]) * (b[0] - corner[0]) + (a[1] - corner[1]) * (b[1] - corner[1]) > 0;
}

// --- to and from the API

export function toObject(shape) {
  const object = { label: shape.label, confidence: shape.confidence };
  if (shape.kind === "image") object.whole_image = true;
  else {
    const [xmin, ymin, xmax, ymax] = shape.box;
    object.bounding_box = { xmin, xmax, ymin, ymax };
  }
  if (shape.points) object.polygon = shape.points;
  if (shape.kind === "parts") object.polygons = shape.parts;
  // Drafts of older versions of the page have no attributes.
  if (Object.keys(shape.attributes ?? {}).length) object.attributes = shape.attributes;
  if (shape.origin) object.origin = shape.origin;
  if (shape.model_version) object.model_version = shape.model_version;
  return object;
}

export function fromObject(object) {
  const shape = { id: newId(), kind: "box", label: object.label, confidence: object.confidence ?? 1, attributes: object.attributes ?? {}, box: null, points: null };
  if (object.origin) shape.origin = object.origin;
  if (object.model_version) shape.model_version = object.model_version;
  if (object.whole_image) return { ...shape, kind: "image" };
  const { xmin, ymin, xmax, ymax } = object.bounding_box;
  shape.box = [xmin, ymin, xmax, ymax];
  if (object.polygon) return { ...shape, kind: "polygon", points: object.polygon };
  if (object.polygons) return { ...shape, kind: "parts", parts: object.polygons };
  return shape;
}

/** Equal as far as the server is concerned: ids are the page's own. */
export function sameObjects(a, b) {
  return JSON.stringify(a.map(toObject)) === JSON.stringify(b.map(toObject));
}

const KINDS = { box: "▭", polygon: "⬠", parts: "⬠⬠" };

/** In the few words that fit into a list. */
export function brief({ kind, box: [xmin, ymin, xmax, ymax] }) {
  return `${KINDS[kind]} ${Math.round(xmax - xmin)} × ${Math.round(ymax - ymin)}`;
}

export const shapeCount = (shapes) => text("shape.count", { count: shapes.length });

export function describe(shape) {
  if (shape.kind === "image") return text("shape.whole");
  const [xmin, ymin, xmax, ymax] = shape.box.map((v) => Math.round(v * 100) / 100);
  const size = `${Math.round(xmax - xmin)} × ${Math.round(ymax - ymin)}`;
  const count = { polygon: shape.points, parts: shape.parts }[shape.kind]?.length;
  return text(`shape.${shape.kind}`, { count, size, place: `${xmin}, ${ymin}` });
}
