/* The list of a campaign's images. Only the rows in sight are on the page: a campaign may have a hundred thousand. */

import { byId, element } from "./elements.js";

const BEYOND = 6;

export class ImageList {
  /** `desk` gives images, marks and the current image; `open` is called with an image id. */
  constructor(desk, open) {
    this.desk = desk;
    this.open = open;
    this.dialog = byId("list");
    this.scroll = byId("list-scroll");
    this.rows = byId("list-rows");
    this.filter = byId("list-filter");
    this.scroll.onscroll = () => this.paint();
    this.filter.onchange = () => this.choose();
    this.rows.onkeydown = (event) => this.key(event);
  }

  show() {
    this.dialog.showModal();
    this.height = matchMedia("(pointer: coarse)").matches ? 44 : 36;
    this.choose();
    const place = this.shown.findIndex(({ image }) => image.image_id === this.desk.imageId);
    this.focus(Math.max(0, place));
  }

  choose() {
    const wanted = this.filter.value;
    this.shown = this.desk.images
      .map((image, i) => ({ image, number: i + 1, draft: this.desk.hasDraft(image.image_id) }))
      .filter(({ image, draft }) => wanted === "all" || { todo: !image.done, done: image.done, draft }[wanted]);
    this.rows.style.height = `${Math.max(1, this.shown.length) * this.height}px`;
    this.scroll.scrollTop = 0;
    this.paint();
  }

  paint() {
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / this.height) - BEYOND);
    const count = Math.ceil(this.scroll.clientHeight / this.height) + 2 * BEYOND;
    const rows = this.shown.slice(first, first + count).map((one, i) => this.row(one, first + i));
    if (!rows.length) rows.push(element("li", { className: "muted hint", text: "None." }));
    this.rows.replaceChildren(...rows);
  }

  row({ image, number, draft }, place) {
    const current = image.image_id === this.desk.imageId;
    const button = element("button", { className: "row", type: "button", "aria-current": current ? "true" : null }, [
      element("span", { className: "name", text: `Image ${number}` }),
    ]);
    if (draft) button.append(element("span", { className: "mark draft", text: "draft" }));
    const state = image.done ? "done" : image.reopened === undefined ? "not done" : "reopened";
    const title = image.done ? null : image.reopened || null;
    button.append(element("span", { className: `mark ${state === "not done" ? "" : state}`, text: state, title }));
    button.dataset.place = place;
    button.addEventListener("click", () => {
      this.dialog.close();
      this.open(image.image_id);
    });
    const row = element("li", { "aria-setsize": this.shown.length, "aria-posinset": place + 1 }, [button]);
    row.style.top = `${place * this.height}px`;
    return row;
  }

  key(event) {
    const page = Math.floor(this.scroll.clientHeight / this.height) || 1;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || !event.target.dataset.place) return;
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
