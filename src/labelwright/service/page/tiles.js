/* Large pictures: a reduced one is shown at once, and over it tiles of the level that the zoom needs, for what is in sight.
   Of level n, one pixel is 2^n pixels of the image wide. The picture's size on the page is always that of the image. */

import { element } from "./elements.js";

const AT_ONCE = 6;
const KEEP = 160; // tiles, of a megabyte each once they are decoded
const RETRY_MS = 3000;

export class TileLayer {
  /** `onPending(count)`: tiles that are being fetched. */
  constructor(viewport, onPending) {
    this.viewport = viewport;
    this.onPending = onPending;
    this.layer = element("div", { className: "tiles", "aria-hidden": "true" });
    this.layer.hidden = true;
    this.tiles = new Map(); // "level/column/row" -> {image, url, loaded}, the one wanted last at the end
    this.source = null;
  }

  /** `source`: {url of the reduced picture, width, height of the image, size and levels of its tiles, tile(path)}. */
  show(source) {
    this.clear();
    this.source = source;
    const reduced = element("img", { className: "reduced", alt: "" });
    reduced.draggable = false;
    reduced.src = source.url;
    this.layer.append(reduced);
    this.layer.hidden = false;
    this.update();
  }

  clear() {
    this.source = null;
    this.waiting = [];
    this.fetching = 0;
    for (const { url } of this.tiles.values()) if (url) URL.revokeObjectURL(url);
    this.tiles.clear();
    this.layer.replaceChildren();
    this.layer.hidden = true;
    this.onPending(0);
  }

  update() {
    const { source } = this;
    if (!source) return;
    const wanted = this.inSight();
    for (const path of wanted) {
      const known = this.tiles.get(path);
      this.tiles.delete(path);
      this.tiles.set(path, known ?? { image: null, url: null, loaded: false });
    }
    this.wanted = new Set(wanted);
    this.waiting = wanted.filter((path) => this.tiles.get(path).image === null && !this.tiles.get(path).asked);
    this.next();
    this.shrink();
    this.pending();
  }

  /** Paths of the tiles that are needed; none while the reduced picture has pixels enough. */
  inSight() {
    const { size, levels, width, height } = this.source;
    const level = Math.max(0, Math.floor(Math.log2(1 / (this.viewport.zoom * devicePixelRatio)) + 0.01));
    if (level >= levels) return [];
    const side = size * 2 ** level;
    const { x, y, width: seenWidth, height: seenHeight } = this.viewport.seen();
    const range = (middle, seen, whole) => [
      Math.max(0, Math.floor((middle - seen / 2) / side)),
      Math.min(Math.ceil(whole / side) - 1, Math.floor((middle + seen / 2) / side)),
    ];
    const [left, right] = range(x, seenWidth, width);
    const [top, bottom] = range(y, seenHeight, height);
    const paths = [];
    for (let row = top; row <= bottom; row += 1) for (let column = left; column <= right; column += 1) paths.push([level, column, row]);
    // From the middle outwards.
    const distance = ([, column, row]) => Math.hypot((column + 0.5) * side - x, (row + 0.5) * side - y);
    return paths.sort((a, b) => distance(a) - distance(b)).map((path) => path.join("/"));
  }

  next() {
    while (this.fetching < AT_ONCE && this.waiting.length) this.fetch(this.waiting.shift());
  }

  async fetch(path) {
    const { source } = this;
    const tile = this.tiles.get(path);
    if (!tile) return;
    tile.asked = true;
    this.fetching += 1;
    try {
      const blob = await source.tile(path);
      if (this.source !== source) return;
      if (this.tiles.get(path) === tile) await this.place(path, tile, blob);
    } catch {
      setTimeout(() => {
        tile.asked = false;
        if (this.source === source) this.update();
      }, RETRY_MS);
    }
    if (this.source !== source) return;
    this.fetching -= 1;
    this.next();
    this.shrink();
    this.pending();
  }

  async place(path, tile, blob) {
    const [level, column, row] = path.split("/").map(Number);
    const { size, width, height } = this.source;
    const scale = 2 ** level;
    const pixels = (place, whole) => Math.min(size, Math.ceil(whole / scale) - place * size);
    tile.url = URL.createObjectURL(blob);
    tile.image = element("img", { alt: "" });
    tile.image.draggable = false;
    tile.image.src = tile.url;
    const percent = (part, whole) => `${(part / whole) * 100}%`;
    Object.assign(tile.image.style, {
      left: percent(column * size * scale, width),
      top: percent(row * size * scale, height),
      width: percent(pixels(column, width) * scale, width),
      height: percent(pixels(row, height) * scale, height),
      // Finer ones lie above coarser ones.
      zIndex: String(20 - level),
    });
    await tile.image.decode().catch(() => {});
    tile.loaded = true;
    this.layer.append(tile.image);
  }

  pending() {
    const missing = [...(this.wanted ?? [])].filter((path) => !this.tiles.get(path)?.loaded).length;
    this.layer.dataset.pending = missing;
    this.onPending(missing);
  }

  /** Takes tiles away that are not wanted: finer ones at once, when all that are wanted are there; others when they are many. */
  shrink() {
    const complete = [...this.wanted].every((path) => this.tiles.get(path)?.loaded);
    const level = Number([...this.wanted][0]?.split("/")[0] ?? Infinity);
    for (const [path, { image, url, loaded }] of this.tiles) {
      if (this.wanted.has(path)) continue;
      const finer = complete && Number(path.split("/")[0]) < level;
      if (!finer && this.tiles.size <= KEEP) continue;
      if (!loaded && !finer) continue;
      image?.remove();
      if (url) URL.revokeObjectURL(url);
      this.tiles.delete(path);
    }
  }
}

/** A picture of that size with nothing in it: Annotorious takes the size of the image from it. */
export function blank(width, height) {
  const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"/>`;
  return URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
}
