/* When a labeler cannot go on: a note to the requester, or an image that is skipped with a reason. */

import { byId, element } from "./elements.js";
import { shownKey } from "./keymap.js";
import { drawn, shapeCount } from "./shapes.js";
import { text } from "./texts.js";
import { DeskTools } from "./tools.js";
import { write } from "./writing.js";

const REASONS = "labelwright.reasons";

export class DeskAsking extends DeskTools {
  async writeNote() {
    if (!this.loaded) return;
    const { imageId, selected } = this;
    const about = selected?.box ? text("note.about", { label: this.labels.shown(selected.label) }) : null;
    const written = await write({ heading: text("note.heading"), hint: text("note.hint"), send: text("note.send"), about });
    this.canvas.focus();
    if (!written) return;
    const shape = written.about && about !== null ? notedShape(selected) : null;
    let note;
    try {
      note = await this.api.addNote(this.campaign.campaign_id, imageId, written.text, shape);
      this.connected = true;
    } catch (error) {
      if (!this.refusedForGood(error)) this.say(text("note.notSent", { error: error.message, text: written.text }), "bad");
      return;
    }
    const record = this.records.get(imageId);
    if (record) this.records.set(imageId, { ...record, notes: [...record.notes.filter(({ note_id }) => note_id !== note.note_id), note] });
    const image = this.images.find(({ image_id }) => image_id === imageId);
    if (image) image.notes = this.records.get(imageId)?.notes.length ?? (image.notes ?? 0) + 1;
    this.say(text("note.sent"), "good");
    this.showNotes();
  }

  /** The notes about this image, beside it. */
  showNotes() {
    const notes = this.loaded ? (this.records.get(this.imageId)?.notes ?? []) : [];
    byId("notes-part").hidden = !notes.length;
    const built = JSON.stringify(notes);
    const list = byId("notes");
    if (list.dataset.built === built) return;
    list.dataset.built = built;
    list.replaceChildren(...notes.map((note) => this.noteRow(note)));
  }

  noteRow(note) {
    const parts = [];
    if (note.shape) {
      const button = element("button", { type: "button", className: "small", text: this.labels.shown(note.shape.label), title: text("note.showShape") });
      button.addEventListener("click", () => this.showNotedShape(note.shape));
      parts.push(button);
    }
    parts.push(element("p", { className: "note-text", text: note.text }));
    if (note.answer !== null) parts.push(element("p", { className: "note-answer" }, [element("b", { text: `${text("note.answer")} ` }), note.answer]));
    else parts.push(element("p", { className: "muted", text: text("note.open") }));
    return element("li", {}, parts);
  }

  /** Selects the shape that a note is about, or shows where it was. */
  showNotedShape({ label, bounding_box: { xmin, ymin, xmax, ymax } }) {
    const box = [xmin, ymin, xmax, ymax];
    const close = (shape) => shape.box.every((value, i) => Math.abs(value - box[i]) <= Math.max(4, (box[2] - box[0]) / 4));
    const shape = drawn(this.shapes).find((one) => one.label === label && close(one)) ?? drawn(this.shapes).find(close);
    if (shape) this.select(shape.id);
    else {
      this.viewport.reveal(box);
      this.say(text("note.shapeGone"));
    }
    this.canvas.focus();
  }

  // --- skipping

  async skip() {
    if (!this.campaign.allow_skip) return void this.say(text("skip.notAllowed", { key: shownKey("empty") }), "warn");
    if (this.readOnly) return void this.refuse();
    if (this.foreign) return void this.say(text("skip.twoTabs"), "warn");
    const { imageId } = this;
    const hint = this.shapes.length ? text("skip.hintShapes", { shapes: shapeCount(this.shapes) }) : text("skip.hint");
    const written = await write({ heading: text("skip.heading"), hint, send: text("skip.send"), ready: reasons() });
    this.canvas.focus();
    if (!written || this.imageId !== imageId || this.readOnly) return;
    this.busy = true;
    this.render();
    let answer;
    try {
      answer = await this.api.skip(this.campaign.campaign_id, imageId, written.text, this.base.revision);
    } catch (error) {
      this.busy = false;
      this.render();
      return void this.notSubmitted(error);
    }
    keepReason(written.text);
    this.stored(imageId, { shapes: [], nothing: false, skipped: written.text }, answer);
  }
}

function notedShape({ label, box: [xmin, ymin, xmax, ymax] }) {
  return { label, bounding_box: { xmin, xmax, ymin, ymax } };
}

/** The labeler's last reasons, to be taken again. */
function reasons() {
  try {
    const kept = JSON.parse(localStorage.getItem(REASONS));
    return Array.isArray(kept) ? kept.filter((reason) => typeof reason === "string").slice(0, 5) : [];
  } catch {
    return [];
  }
}

function keepReason(reason) {
  if (reason.length > 60) return;
  try {
    localStorage.setItem(REASONS, JSON.stringify([reason, ...reasons().filter((one) => one !== reason)].slice(0, 5)));
  } catch {
    // It is typed again next time.
  }
}
