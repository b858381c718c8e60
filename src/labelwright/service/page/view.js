/* The desk as it is seen: what stands where. It changes nothing. */

import { showAttributes, showWholeImage } from "./attributes.js";
import { byId } from "./elements.js";
import { showKeys } from "./help.js";
import { showLabels, showShapes } from "./panels.js";
import { drawn, pixel } from "./shapes.js";
import { languages, text } from "./texts.js";

export class DeskView {
  say(message, kind) {
    this.notices.toast(message, kind);
  }

  cover(message, retry = false) {
    byId("cover").hidden = message === null;
    byId("cover-text").textContent = message ?? "";
    byId("retry-button").hidden = !retry;
  }

  /** While a polygon is being drawn, Submit closes it and Undo takes a corner back: for those without a keyboard. */
  showDrawing() {
    const drawing = this.gestures.corners.length > 0;
    byId("submit-text").textContent = text(drawing ? "shape.close" : "submit.button");
    byId("submit-button").disabled = this.readOnly;
    byId("undo-button").disabled = this.readOnly || !(drawing || this.history.canUndo);
  }

  pointAt(point) {
    this.pointer = point;
    this.showReadout();
  }

  viewChanged() {
    this.tiles.update();
    this.paint.zoomed(this.viewport.height);
    this.showReadout();
    this.markCorner();
  }

  showReadout() {
    const { size, zoom } = this.viewport;
    const [x, y] = this.pointer ? pixel(this.pointer, size) : [0, 0];
    byId("readout").textContent = this.loaded ? `${Math.round(zoom * 100)} %  ·  ${x}, ${y}  ·  ${size.width} × ${size.height}${this.pendingTiles ? `  ·  ${text("tiles.pending")}` : ""}` : "";
  }

  showCampaign() {
    const { title, status, progress } = this.campaign;
    document.title = text("page.title_of", { title });
    byId("campaign-heading").textContent = title;
    byId("campaign-title").textContent = title;
    const state = byId("campaign-state");
    state.textContent = text(`status.${status}`);
    state.className = `chip ${status}`;
    byId("progress").max = Math.max(1, progress.total);
    byId("progress").value = progress.done;
    byId("progress-text").textContent = text("campaign.done", progress);
    const closed = status === "active" ? null : text(`campaign.${status}`);
    const again = this.reopened ? text("campaign.reopened") : null;
    if (!this.foreign) this.notices.banner(closed ?? this.reopenedText() ?? again, [], "calm");
  }

  /** Above an image that was given back: why, and what to do. null for all others. */
  reopenedText() {
    const { done, reopened } = this.base;
    if (done || reopened === null) return null;
    return reopened ? text("campaign.image_reopened_because", { reason: reopened }) : text("campaign.image_reopened");
  }

  showSaved() {
    const [words, kind] = this.savedText();
    const saved = byId("saved");
    saved.textContent = words;
    saved.title = words;
    saved.className = `saved ${kind}`;
  }

  savedText() {
    if (!this.loaded) return ["", ""];
    const online = (words) => (this.connected ? words : text("saved.offline", { text: words }));
    if (this.busy) return [text("saved.submitting"), "draft"];
    if (this.dirty && this.foreign) return [text("saved.foreign"), "bad"];
    if (this.dirty && !this.kept) return [text("saved.not_kept"), "bad"];
    if (this.dirty) return [online(text("saved.draft")), this.connected ? "draft" : "draft bad"];
    if (this.base.skipped !== null) return [online(text("skip.saved", { reason: this.base.skipped })), "done"];
    if (this.base.done) return [online(text("saved.submitted")), "done"];
    if (this.base.reopened !== null) return [online(text("saved.reopened")), "draft"];
    return [online(text("saved.nothing")), ""];
  }

  /** Everything that is shown in words, after the language changed. */
  retell() {
    this.labels.languages = languages();
    showKeys();
    this.showCampaign();
    if (this.foreign) this.showTwoTabs();
    this.canvas.name(text("image.number", { number: this.position + 1 }));
    this.render();
  }

  render() {
    const { selectedId, readOnly, labels } = this;
    const shapes = drawn(this.shapes);
    const suggested = this.drawnSuggestions;
    const looks = new Map(shapes.map(({ id, label }) => [id, { colour: labels.colour(label), ink: labels.ink(label), text: labels.shown(label) }]));
    for (const one of suggested) looks.set(one.id, this.suggestionLook(one));
    if (this.loaded) {
      const visible = shapes.filter(({ id }) => !this.hidden.has(id));
      const free = [...visible.filter(({ id }) => !this.locked.has(id)), ...suggested]; // what the pointer finds
      this.paint.shapes([...visible, ...suggested], looks, selectedId);
      const editable = free.some(({ id }) => id === selectedId) ? (this.selected?.id ?? null) : null;
      this.canvas.sync(free, editable, !readOnly && this.selected?.kind !== "parts");
      this.markCorner();
    }
    showLabels(labels, this.selected?.label ?? this.label, readOnly, (name) => {
      this.chooseLabel(name);
    });
    const marks = { hidden: this.hidden, locked: this.locked };
    showShapes(shapes, selectedId, labels, marks, {
      select: (id) => {
        this.select(id);
        this.canvas.focus();
      },
      hide: (id) => this.toggleHidden(id),
      lock: (id) => this.toggleLock(id),
    });
    const actions = {
      describe: (...change) => this.describe(...change),
      toggle: (name) => this.toggleWholeImage(name),
      leave: () => this.canvas.focus(),
    };
    showAttributes(this.selected, labels, readOnly, actions);
    this.showSuggestions();
    showWholeImage(this.shapes, labels, readOnly, actions);
    byId("no-shapes").textContent = shapes.length || !this.loaded ? "" : text(this.state.nothing ? "nothing.here" : "shape.none");
    const nothing = byId("nothing-button");
    nothing.setAttribute("aria-pressed", String(this.state.nothing));
    nothing.disabled = readOnly || this.shapes.length > 0;
    this.showDrawing();
    byId("redo-button").disabled = readOnly || !this.history.canRedo;
    byId("delete-button").disabled = readOnly || !(this.selected ?? this.suggested);
    byId("search-button").disabled = readOnly;
    for (const tool of ["box", "polygon"]) byId(`tool-${tool}`).disabled = this.campaign.status !== "active" || !this.mayDraw(tool);
    byId("previous-button").disabled = this.position <= 0;
    byId("next-button").disabled = this.position >= this.images.length - 1;
    byId("place").textContent = `${this.position + 1} / ${this.images.length}${this.name ? `  ·  ${this.name}` : ""}`;
    byId("place").title = this.name;
    this.view.classList.toggle("readonly", readOnly);
    byId("skip-button").hidden = !this.campaign.allow_skip;
    byId("skip-button").disabled = readOnly;
    byId("note-button").disabled = !this.loaded;
    this.showNotes();
    this.showSaved();
    this.showReadout();
  }
}
