/* The desk as it is seen: what stands where. It changes nothing. */

import { showAttributes, showWholeImage } from "./attributes.js";
import { byId } from "./elements.js";
import { showLabels, showShapes } from "./panels.js";
import { drawn, pixel } from "./shapes.js";

export class DeskView {
  say(text, kind) {
    this.notices.toast(text, kind);
  }

  cover(text, retry = false) {
    byId("cover").hidden = text === null;
    byId("cover-text").textContent = text ?? "";
    byId("retry-button").hidden = !retry;
  }

  /** While a polygon is being drawn, Submit closes it and Undo takes a corner back: for those without a keyboard. */
  showDrawing() {
    const drawing = this.gestures.corners.length > 0;
    byId("submit-text").textContent = drawing ? "Close the polygon" : "Submit";
    byId("submit-button").disabled = this.readOnly;
    byId("undo-button").disabled = this.readOnly || !(drawing || this.history.canUndo);
  }

  pointAt(point) {
    this.pointer = point;
    this.showReadout();
  }

  viewChanged() {
    this.paint.zoomed(this.viewport.height);
    this.showReadout();
    this.markCorner();
  }

  showReadout() {
    const { size, zoom } = this.viewport;
    const [x, y] = this.pointer ? pixel(this.pointer, size) : [0, 0];
    byId("readout").textContent = this.loaded ? `${Math.round(zoom * 100)} %  ·  ${x}, ${y}  ·  ${size.width} × ${size.height}` : "";
  }

  showCampaign() {
    const { title, status, progress } = this.campaign;
    document.title = `${title} – Labeling`;
    byId("campaign-title").textContent = title;
    const state = byId("campaign-state");
    state.textContent = status;
    state.className = `chip ${status}`;
    byId("progress").max = Math.max(1, progress.total);
    byId("progress").value = progress.done;
    byId("progress-text").textContent = `${progress.done} of ${progress.total} done`;
    const text = {
      created: "This campaign has not started yet: you can look, but not label.",
      completed: "This campaign is complete: you can look, but not change anything until it is reopened.",
      finished: "This campaign is finished: you can look, but not change anything.",
    }[status];
    const again = "This campaign was reopened: correct what you like, then submit once. That completes it again.";
    if (!this.foreign) this.notices.banner(text ?? (this.reopened ? again : null), [], "calm");
  }

  showSaved() {
    const [text, kind] = this.savedText();
    const saved = byId("saved");
    saved.textContent = text;
    saved.className = `saved ${kind}`;
  }

  savedText() {
    if (!this.loaded) return ["", ""];
    const offline = this.connected ? "" : " · no connection";
    if (this.busy) return ["Submitting …", "draft"];
    if (this.dirty && this.foreign) return ["Not saved: open in two tabs", "bad"];
    if (this.dirty && !this.kept) return ["Not saved on this device", "bad"];
    if (this.dirty) return [`Draft saved here, not submitted${offline}`, this.connected ? "draft" : "draft bad"];
    if (this.base.done) return [`Submitted${offline}`, "done"];
    return [`Nothing drawn yet${offline}`, ""];
  }

  render() {
    const { selectedId, readOnly, labels } = this;
    const shapes = drawn(this.shapes);
    const looks = new Map(shapes.map(({ id, label }) => [id, { colour: labels.colour(label), ink: labels.ink(label), text: labels.shown(label) }]));
    if (this.loaded) {
      this.paint.shapes(shapes, looks, selectedId);
      this.canvas.sync(shapes, selectedId, !readOnly && this.selected?.kind !== "parts");
      this.markCorner();
    }
    showLabels(labels, this.selected?.label ?? this.label, readOnly, (name) => {
      this.chooseLabel(name);
    });
    showShapes(shapes, selectedId, labels, (id) => {
      this.select(id);
      this.canvas.focus();
    });
    const actions = {
      describe: (...change) => this.describe(...change),
      toggle: (name) => this.toggleWholeImage(name),
      leave: () => this.canvas.focus(),
    };
    showAttributes(this.selected, labels, readOnly, actions);
    showWholeImage(this.shapes, labels, readOnly, actions);
    byId("no-shapes").textContent = shapes.length || !this.loaded ? "" : this.state.nothing ? "Nothing here." : "None yet. Draw on the picture.";
    const nothing = byId("nothing-button");
    nothing.setAttribute("aria-pressed", String(this.state.nothing));
    nothing.disabled = readOnly || this.shapes.length > 0;
    this.showDrawing();
    byId("redo-button").disabled = readOnly || !this.history.canRedo;
    byId("delete-button").disabled = readOnly || !this.selected;
    byId("search-button").disabled = readOnly;
    for (const tool of ["box", "polygon"]) byId(`tool-${tool}`).disabled = this.campaign.status !== "active" || !this.mayDraw(tool);
    byId("previous-button").disabled = this.position <= 0;
    byId("next-button").disabled = this.position >= this.images.length - 1;
    byId("place").textContent = `${this.position + 1} / ${this.images.length}${this.name ? `  ·  ${this.name}` : ""}`;
    byId("place").title = this.name;
    this.view.classList.toggle("readonly", readOnly);
    this.showSaved();
    this.showReadout();
  }
}
