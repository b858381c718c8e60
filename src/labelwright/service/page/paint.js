/* The shapes as they are seen: colour and text on every one. Annotorious could colour them only by style attributes, which
   the Content-Security-Policy refuses; so it keeps to finding and editing, and what is seen is painted here. */

const SVG = "http://www.w3.org/2000/svg";
const TAG_HEIGHT = 18; // CSS pixels

export class Paint {
  constructor() {
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.classList.add("paint");
    this.svg.setAttribute("aria-hidden", "true");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.tags = document.createElement("div");
    this.tags.className = "tags";
    this.tags.setAttribute("aria-hidden", "true");
    this.drawn = new Map();
    this.shownHeight = 0;
  }

  show(size) {
    this.size = size;
    this.svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    this.shapes([], new Map(), null);
  }

  /** `looks`: id -> {colour, ink, text, suggested}. */
  shapes(shapes, looks, selectedId) {
    this.svg.replaceChildren();
    this.tags.replaceChildren();
    this.drawn.clear();
    // Large ones first: a small one inside a large one is not covered.
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    for (const shape of [...shapes].sort((a, b) => area(b) - area(a))) {
      const { colour, ink, text, suggested = false } = looks.get(shape.id);
      const selected = shape.id === selectedId;
      const group = document.createElementNS(SVG, "g");
      group.classList.toggle("selected", selected);
      group.classList.toggle("suggested", suggested);
      const halo = document.createElementNS(SVG, "path");
      halo.classList.add("halo");
      const line = document.createElementNS(SVG, "path");
      line.classList.add("line");
      line.setAttribute("stroke", colour);
      line.setAttribute("fill", colour);
      group.append(halo, line);
      this.svg.append(group);
      const tag = document.createElement("span");
      tag.className = "tag";
      tag.classList.toggle("selected", selected);
      tag.classList.toggle("suggested", suggested);
      tag.style.setProperty("--label", colour);
      tag.style.setProperty("--ink", ink);
      tag.textContent = text;
      this.tags.append(tag);
      this.drawn.set(shape.id, { halo, line, tag, parts: shape.parts });
      this.place(shape.id, shape);
    }
  }

  /** Follows a shape that is being dragged. */
  place(id, { box, points }) {
    const drawn = this.drawn.get(id);
    if (!drawn) return;
    const [xmin, ymin, xmax, ymax] = box;
    const rings = drawn.parts ?? [points ?? [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]]];
    const text = rings.map((corners) => `M${corners.map((p) => p.join(",")).join(" ")}Z`).join("");
    drawn.halo.setAttribute("d", text);
    drawn.line.setAttribute("d", text);
    const top = points ? points.reduce((a, b) => (b[1] < a[1] ? b : a))[0] : xmin; // where a polygon is highest
    drawn.tag.style.left = `${(Math.max(0, top) / this.size.width) * 100}%`;
    drawn.tag.style.top = `${(Math.max(0, ymin) / this.size.height) * 100}%`;
    drawn.ymin = ymin;
    this.turn(drawn);
  }

  /** The text stands above the shape; where the picture's upper edge leaves no room for it, inside. */
  turn({ tag, ymin }) {
    tag.classList.toggle("below", (ymin / this.size.height) * this.shownHeight < TAG_HEIGHT);
  }

  zoomed(shownHeight) {
    this.shownHeight = shownHeight;
    for (const drawn of this.drawn.values()) this.turn(drawn);
  }

  /** What is being drawn: `corners` of a closed or open outline, or nothing. */
  band(corners, { closed = true, colour = "#fff", first = null, dots = [], radius = 4 } = {}) {
    this.bandGroup?.remove();
    this.bandGroup = null;
    if (!corners?.length) return;
    const group = document.createElementNS(SVG, "g");
    group.classList.add("band");
    for (const kind of ["halo", "line"]) {
      const outline = document.createElementNS(SVG, closed ? "polygon" : "polyline");
      outline.classList.add(kind);
      outline.setAttribute("points", corners.map((p) => p.join(",")).join(" "));
      if (kind === "line") {
        outline.setAttribute("stroke", colour);
        outline.setAttribute("fill", closed ? colour : "none");
      }
      group.append(outline);
    }
    for (const dot of dots) {
      const ellipse = document.createElementNS(SVG, "circle");
      ellipse.setAttribute("cx", dot[0]);
      ellipse.setAttribute("cy", dot[1]);
      ellipse.setAttribute("r", dot === first ? radius * 2 : radius);
      ellipse.classList.add(dot === first ? "closing" : "dot");
      group.append(ellipse);
    }
    this.svg.append(group);
    this.bandGroup = group;
  }

  /** The corner of a polygon that the arrow keys move. */
  corner(point, radius) {
    this.cornerMark?.remove();
    this.cornerMark = null;
    if (!point) return;
    const mark = document.createElementNS(SVG, "circle");
    mark.classList.add("corner");
    mark.setAttribute("cx", point[0]);
    mark.setAttribute("cy", point[1]);
    mark.setAttribute("r", radius);
    this.svg.append(mark);
    this.cornerMark = mark;
  }
}
