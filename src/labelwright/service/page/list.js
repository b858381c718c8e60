/* The list of a campaign's images: names, thumbnails, states, notes; filtered and searched. Only the rows in sight are on
   the page: a campaign may have a hundred thousand. */

import { byId, element } from "./elements.js";
import { text } from "./texts.js";
import { Thumbnails } from "./thumbnails.js";

const BEYOND = 6;
const ROW_HEIGHT = 56; // as in tools.css

const FILTERS = {
  all: () => true,
  todo: ({ image }) => !image.done,
  draft: ({ draft }) => draft,
  done: ({ image }) => image.done && image.skipped === undefined,
  reopened: ({ image }) => !image.done && image.reopened !== undefined,
  skipped: ({ image }) => image.skipped !== undefined,
  note: ({ image }) => image.notes > 0,
};

export class ImageList {
  /** `desk` gives images, marks and the current image; `open` is called with an image id. */
  constructor(desk, open) {
    this.desk = desk;
    this.open = open;
    this.dialog = byId("list");
    this.scroll = byId("list-scroll");
    this.rows = byId("list-rows");
    this.filter = byId("list-filter");
    this.search = byId("list-search");
    this.thumbnails = new Thumbnails(desk.api, desk.campaign.campaign_id);
    this.height = ROW_HEIGHT;
    this.search.value = "";
    this.scroll.onscroll = () => this.paint();
    this.filter.onchange = () => this.choose();
    this.search.oninput = () => this.choose();
    this.search.onkeydown = (event) => this.searchKey(event);
    this.rows.onkeydown = (event) => this.key(event);
    this.dialog.onclose = () => this.thumbnails.show([]);
  }

  close() {
    this.thumbnails.close();
  }

  show() {
    this.dialog.showModal();
    this.choose();
    const place = this.shown.findIndex(({ image }) => image.image_id === this.desk.imageId);
    this.focus(Math.max(0, place));
  }

  choose() {
    const wanted = FILTERS[this.filter.value];
    const typed = this.search.value.trim().toLowerCase();
    const named = ({ image, number }) => !typed || image.name.toLowerCase().includes(typed) || String(number) === typed;
    this.shown = this.desk.images
      .map((image, i) => ({ image, number: i + 1, draft: this.desk.hasDraft(image.image_id) }))
      .filter((one) => wanted(one) && named(one));
    byId("list-count").textContent = text("list.count", { shown: this.shown.length, all: this.desk.images.length });
    this.rows.style.height = `${Math.max(1, this.shown.length) * this.height}px`;
    this.scroll.scrollTop = 0;
    this.paint();
  }

  paint() {
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / this.height) - BEYOND);
    const count = Math.ceil(this.scroll.clientHeight / this.height) + 2 * BEYOND;
    const inSight = this.shown.slice(first, first + count);
    const pictures = [];
    const rows = inSight.map((one, i) => this.row(one, first + i, pictures));
    if (!rows.length) rows.push(element("li", { className: "muted hint", text: text("list.none") }));
    this.rows.replaceChildren(...rows);
    this.thumbnails.show(pictures);
  }

  row({ image, number, draft }, place, pictures) {
    const current = image.image_id === this.desk.imageId;
    const thumbnail = element("img", { className: "thumbnail", alt: "" });
    pictures.push([image.image_id, thumbnail]);
    const button = element("button", { className: "row", type: "button", title: image.name, "aria-current": current ? "true" : null }, [
      element("span", { className: "frame" }, [thumbnail]),
      element("span", { className: "number", text: String(number) }),
      element("span", { className: "name", text: image.name }),
      ...marks(image, draft),
    ]);
    button.dataset.place = place;
    button.addEventListener("click", () => this.choice(image.image_id));
    const row = element("li", { "aria-setsize": this.shown.length, "aria-posinset": place + 1 }, [button]);
    row.style.top = `${place * this.height}px`;
    return row;
  }

  choice(imageId) {
    this.dialog.close();
    this.open(imageId);
  }

  /** From the search into the rows; Enter opens the first one. */
  searchKey(event) {
    if (event.key === "ArrowDown" && this.shown.length) this.focus(0);
    else if (event.key === "Enter" && this.shown.length) this.choice(this.shown[0].image.image_id);
    else return;
    event.preventDefault();
  }

  key(event) {
    const page = Math.floor(this.scroll.clientHeight / this.height) || 1;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (!event.target.dataset.place) return;
    if (event.key === "/") {
      event.preventDefault();
      this.search.focus();
    }
    if (step === undefined) return;
    event.preventDefault();
    const place = Number(event.target.dataset.place) + step;
    this.focus(Math.min(Math.max(place, 0), this.shown.length - 1));
  }

  focus(place) {
    const top = place * this.height;
    const { scrollTop, clientHeight } = this.scroll;
    if (top < scrollTop) this.scroll.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.scroll.scrollTop = top + this.height - clientHeight;
    this.paint();
    this.rows.querySelector(`[data-place="${place}"]`)?.focus({ preventScroll: true });
  }
}

function marks(image, draft) {
  const mark = (kind, title = null) => element("span", { className: `mark ${kind}`, text: text(`list.mark.${kind}`), title });
  const shown = [];
  if (image.notes) shown.push(mark(image.answers === image.notes ? "answered" : "note"));
  if (draft) shown.push(mark("draft"));
  if (image.skipped !== undefined) shown.push(mark("skipped", image.skipped));
  else if (image.done) shown.push(mark("done"));
  else if (image.reopened !== undefined) shown.push(mark("reopened", image.reopened || null));
  else if (!draft) shown.push(mark("todo"));
  return shown;
}
