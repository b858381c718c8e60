/* The desk: one campaign, one image at a time, and everything that can be done to it. */

import { NoConnection, Refused } from "./api.js";
import { Canvas } from "./canvas.js";
import { ask, openHelp, openInstructions, searchLabel } from "./dialogs.js";
import { Drafts } from "./drafts.js";
import { byId } from "./elements.js";
import { Gestures } from "./gestures.js";
import { listen } from "./keys.js";
import { Labels } from "./labels.js";
import { ImageList } from "./list.js";
import { Notices } from "./notices.js";
import { Paint } from "./paint.js";
import { showLabels, showShapes } from "./panels.js";
import { Pictures } from "./pictures.js";
import { faultOf, fromObject, makeBox, makePolygon, describe, pixel, sameObjects, toObject, withGeometry } from "./shapes.js";
import { History } from "./undo.js";
import { Viewport } from "./viewport.js";

const AHEAD = 2; // images that are fetched before they are asked for
const LOOK_EVERY_MS = 20_000; // at the campaign's state
const EMPTY = { shapes: [], nothing: false };

/* What lives as long as the page: campaigns come and go on the same desk. */
let parts = null;

function assemble() {
  const view = byId("view");
  const stage = byId("stage");
  const now = () => parts.desk;
  const viewport = new Viewport(view, stage, () => now()?.viewChanged());
  const paint = new Paint();
  const canvas = new Canvas(stage, [paint.svg, paint.tags], {
    onDrag: (id, geometry) => paint.place(id, geometry),
    onEdited: (id, geometry) => now()?.edited(id, geometry),
  });
  const desk = {
    tool: () => now().tool,
    colour: () => now().labels.colour(now().label ?? ""),
    readOnly: () => now().readOnly,
    select: (id) => now().select(id),
    drewBox: (box) => now().add((label) => makeBox(label, box)),
    drewPolygon: (points) => now().add((label) => makePolygon(label, points)),
    startPolygon: () => now().select(null),
    cornersChanged: () => now()?.showDrawing(),
    redraw: () => now().render(),
    pointAt: (point) => now().pointAt(point),
    say: (text, kind) => now().say(text, kind),
  };
  const gestures = new Gestures(view, viewport, canvas, paint, desk);
  return { view, viewport, canvas, paint, gestures, notices: new Notices(), desk: null };
}

/* The buttons and keys ask for the desk that is open: they are bound once. */
function bind() {
  const desk = () => parts.desk;
  const buttons = {
    "campaigns-button": () => desk().leave(),
    "previous-button": () => desk().step(-1),
    "next-button": () => desk().step(1),
    "list-button": () => desk().showList(),
    "instructions-button": () => desk().showInstructions(),
    "help-button": () => desk().help(),
    "tool-box": () => desk().setTool("box"),
    "tool-polygon": () => desk().setTool("polygon"),
    "tool-pan": () => desk().setTool("pan"),
    "zoom-in": () => desk().zoom(1),
    "zoom-out": () => desk().zoom(-1),
    "zoom-fit": () => desk().fit(),
    "undo-button": () => desk().undo(),
    "redo-button": () => desk().redo(),
    "delete-button": () => desk().deleteSelected(),
    "search-button": () => desk().search(),
    "nothing-button": () => desk().toggleNothing(),
    "submit-button": () => desk().enter(),
    "retry-button": () => desk().open(desk().imageId),
  };
  for (const [id, action] of Object.entries(buttons)) {
    byId(id).addEventListener("click", (event) => {
      action();
      // After a click with the mouse the keys are the picture's again; who came by keyboard stays on the button.
      if (event.detail > 0 && !document.querySelector("dialog[open]")) parts.canvas.focus();
    });
  }
  listen(
    new Proxy({}, { get: (_, name) => (name === "isOpen" ? parts.desk?.isOpen : (...given) => parts.desk?.[name](...given)) }),
  );
  addEventListener("beforeunload", (event) => {
    if (parts.desk?.mayBeLost) event.preventDefault();
  });
  for (const name of ["online", "offline"]) addEventListener(name, () => parts.desk?.look());
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && parts.desk?.look());
}

export class Desk {
  /** `door`: {choose, locked}, what to do when the campaign or the key is left. */
  constructor(api, me, campaign, door) {
    if (!parts) {
      parts = assemble();
      bind();
    }
    Object.assign(this, parts, { api, me, campaign, door });
    parts.desk = this;
    this.labels = new Labels(campaign.labels ?? null, campaign.label_translations);
    this.label = this.labels.names[0] ?? null;
    this.tool = "box";
    this.images = [];
    this.imageId = null;
    this.history = new History(EMPTY);
    this.base = { ...EMPTY, revision: "none", done: false };
    this.selectedId = null;
    this.corner = null;
    this.busy = true;
    this.loaded = false;
    this.kept = true;
    this.foreign = false;
    this.connected = true;
    this.records = new Map();
    this.list = new ImageList(this, (imageId) => this.open(imageId));
    this.pictures = new Pictures(api, campaign.campaign_id);
    this.drafts = new Drafts(me.email, campaign.campaign_id, (imageId, draft) => this.elsewhere(imageId, draft));
    this.draftIds = this.drafts.imageIds();
    this.isOpen = true;
  }

  async start() {
    this.notices.clear();
    this.setTool("box");
    this.showCampaign();
    this.cover("Loading …");
    try {
      this.images = await this.api.images(this.campaign.campaign_id);
    } catch (error) {
      if (this.refusedForGood(error)) return;
      this.cover(`${error.message} Trying again …`);
      setTimeout(() => this.isOpen && this.start(), 4000);
      return;
    }
    if (!this.images.length) {
      this.cover("There are no images in this campaign yet.");
      return;
    }
    this.looking = setInterval(() => document.visibilityState === "visible" && this.look(), LOOK_EVERY_MS);
    const left = this.images.find(({ image_id }) => image_id === this.drafts.place);
    const first = left ?? this.images.find(({ done }) => !done) ?? this.images[0];
    await this.open(first.image_id);
  }

  close() {
    this.isOpen = false;
    this.opening = null; // what is still being fetched is not shown any more
    clearInterval(this.looking);
    this.gestures.cancel();
    this.canvas.clear();
    this.paint.shapes([], new Map(), null);
    this.pictures.close();
    this.drafts.close();
    parts.desk = null;
  }

  // --- the state

  get state() {
    return this.history.present;
  }

  get shapes() {
    return this.state.shapes;
  }

  get selected() {
    return this.shapes.find(({ id }) => id === this.selectedId) ?? null;
  }

  get readOnly() {
    return this.busy || !this.loaded || this.campaign.status !== "active";
  }

  get dirty() {
    return this.state.nothing !== this.base.nothing || !sameObjects(this.shapes, this.base.shapes);
  }

  get mayBeLost() {
    return this.loaded && this.dirty && (!this.kept || this.foreign);
  }

  get position() {
    return this.images.findIndex(({ image_id }) => image_id === this.imageId);
  }

  hasDraft(imageId) {
    return this.draftIds.has(imageId);
  }

  /** One step: undone in one step. False when nothing may be changed. */
  change(state, { select = this.selectedId, amend = false, say = "" } = {}) {
    if (this.readOnly) return this.refuse();
    this.history.push(state, { amend });
    this.selectedId = state.shapes.some(({ id }) => id === select) ? select : null;
    this.corner = null;
    this.changed();
    if (say) this.notices.live(say);
    return true;
  }

  changed() {
    this.keep();
    this.render();
  }

  refuse() {
    const { status } = this.campaign;
    if (status !== "active") this.say(`The campaign is ${status}: nothing can be changed.`, "warn");
    return false;
  }

  /** The draft, on this device, at once. */
  keep({ force = false } = {}) {
    if (this.foreign || !this.loaded) return;
    if (this.dirty) {
      const outcome = this.drafts.put(this.imageId, { ...this.state, revision: this.base.revision }, { force });
      this.kept = outcome === "kept";
      if (this.kept) this.draftIds.add(this.imageId);
      if (outcome === "foreign") this.askWhichTab();
    } else {
      this.drafts.remove(this.imageId);
      this.draftIds.delete(this.imageId);
      this.kept = true;
    }
  }

  // --- going from image to image

  async open(imageId) {
    if (imageId === null) return;
    const opening = Symbol("opening");
    this.opening = opening;
    this.gestures.cancel();
    this.loaded = false;
    this.busy = true;
    this.foreign = false;
    this.imageId = imageId;
    this.selectedId = null;
    this.corner = null;
    this.history = new History(EMPTY);
    this.base = { ...EMPTY, revision: "none", done: false };
    this.name = "";
    this.canvas.clear();
    this.paint.shapes([], new Map(), null);
    this.notices.banner(null);
    this.drafts.place = imageId;
    this.cover("Loading …");
    this.render();
    let record;
    let picture;
    try {
      [record, picture] = await Promise.all([this.record(imageId), this.pictures.get(imageId)]);
      if (this.opening !== opening) return;
      if (picture.width !== record.width || picture.height !== record.height) {
        throw new Error(
          `The picture is ${picture.width} × ${picture.height} in this browser, and ${record.width} × ${record.height} to the server: it cannot be labeled to the pixel.`,
        );
      }
      await this.canvas.show(picture.url, `Image ${this.position + 1}`);
    } catch (error) {
      if (this.opening === opening && !this.refusedForGood(error)) this.cover(error.message, true);
      return;
    }
    if (this.opening !== opening) return;
    this.cover(null);
    this.take(record);
    this.paint.show({ width: record.width, height: record.height });
    this.viewport.show({ width: record.width, height: record.height });
    this.loaded = true;
    this.busy = false;
    this.render();
    if (!document.querySelector("dialog[open]")) this.canvas.focus();
    this.notices.live(`Image ${this.position + 1} of ${this.images.length}, ${this.shapes.length} shapes.`);
    this.showCampaign();
    this.prefetch();
    if (this.draftIsStale) await this.askAboutStaleDraft(record);
  }

  /** What the server stores for an image; without a connection what was fetched ahead of time. */
  async record(imageId) {
    try {
      const record = await this.api.image(this.campaign.campaign_id, imageId);
      this.connected = true;
      this.records.set(imageId, record);
      return record;
    } catch (error) {
      const ahead = this.records.get(imageId);
      if (!(error instanceof NoConnection) || !ahead) throw error;
      this.connected = false;
      return ahead;
    }
  }

  /** Takes up what is stored, and over it what the labeler has not submitted yet. */
  take(record) {
    const shapes = record.objects.map(fromObject);
    this.name = record.name;
    this.base = { shapes, nothing: record.done && !shapes.length, revision: record.revision, done: record.done };
    for (const { label } of shapes) this.labels.learn(label);
    const draft = this.drafts.get(this.imageId);
    if (draft) this.drafts.saw(this.imageId, draft);
    this.draftIsStale = false;
    this.kept = true;
    const stored = { shapes, nothing: this.base.nothing };
    if (draft && !sameObjects(draft.shapes, shapes)) {
      this.history = new History({ shapes: draft.shapes, nothing: draft.nothing });
      for (const { label } of draft.shapes) this.labels.learn(label);
      this.draftIsStale = draft.revision !== record.revision;
    } else if (draft && draft.nothing !== stored.nothing && draft.revision === record.revision) {
      this.history = new History({ shapes: draft.shapes, nothing: draft.nothing });
    } else {
      this.history = new History(stored);
      if (draft) {
        this.drafts.remove(this.imageId);
        this.draftIds.delete(this.imageId);
      }
    }
    if (this.label === null) this.label = this.labels.names[0] ?? null;
  }

  async askAboutStaleDraft(record) {
    const answer = await ask(
      "Your draft is older than what is stored",
      `Since you began it, this image was submitted from somewhere else: ${count(record.objects.length, "shape")} stored, ${count(this.shapes.length, "shape")} in your draft.`,
      [["stored", "Show the stored ones"], ["mine", "Keep my draft", true]],
    );
    if (answer === "stored") this.dropDraft();
    else this.keep();
    this.render();
  }

  dropDraft() {
    this.history = new History({ shapes: this.base.shapes, nothing: this.base.nothing });
    this.selectedId = null;
    this.changed();
  }

  prefetch() {
    const next = [];
    for (let i = 1; i < this.images.length && next.length < AHEAD; i += 1) {
      const image = this.images[(this.position + i) % this.images.length];
      if (!image.done || i === 1) next.push(image.image_id);
    }
    this.pictures.prefetch(next);
    for (const imageId of next) {
      this.api
        .image(this.campaign.campaign_id, imageId)
        .then((record) => this.records.set(imageId, record))
        .catch(() => {});
    }
    while (this.records.size > 12) this.records.delete(this.records.keys().next().value);
  }

  step(direction) {
    const next = this.images[this.position + direction];
    if (next) this.open(next.image_id);
    else this.say(direction > 0 ? "This is the last image." : "This is the first image.");
  }

  openNextToDo() {
    const from = this.position;
    for (let i = 1; i <= this.images.length; i += 1) {
      const image = this.images[(from + i) % this.images.length];
      if (!image.done) return this.open(image.image_id);
    }
    this.say("All images are done.");
    this.render();
    return undefined;
  }

  // --- submitting

  async submit() {
    if (this.readOnly) return void this.refuse();
    if (this.gestures.drawing) return void this.say("Something is being drawn: close it, or press Escape.", "warn");
    if (!this.shapes.length && !this.state.nothing) {
      return void this.say("Nothing is drawn. If there is nothing to label here, press N, then Enter.", "warn");
    }
    const faulty = this.shapes.find((shape) => (shape.points && faultOf(shape.points)) || !this.labels.allows(shape.label));
    if (faulty) {
      this.select(faulty.id);
      const fault = faulty.points && faultOf(faulty.points);
      return void this.say(fault || `The label “${faulty.label}” is not one of this campaign's: choose another.`, "warn");
    }
    if (this.base.done && !this.dirty) return void this.openNextToDo();
    if (this.foreign) return void this.say("This image is also being labeled in another tab: choose above which to keep.", "warn");
    return this.reopened ? this.submitCorrections() : this.send();
  }

  /** Every image was done before: the next submission completes the campaign again. */
  get reopened() {
    const { status, progress } = this.campaign;
    return status === "active" && progress.total > 0 && progress.done === progress.total;
  }

  /** Corrections in a reopened campaign are collected as drafts and go together, or the first would shut out the rest. */
  async submitCorrections() {
    const others = [...this.draftIds].filter((imageId) => imageId !== this.imageId);
    const images = 1 + others.length;
    const answer = await ask(
      "Submitting completes the campaign again",
      `This campaign was reopened and every image in it is done. ${images > 1 ? `Your ${count(images, "draft")} are submitted together. ` : ""}After that nothing can be changed. Are you done with your corrections?`,
      [["on", "Go on correcting"], ["submit", images > 1 ? `Submit all ${images}` : "Submit", true]],
    );
    if (answer === "submit") await this.send(others);
    else if (answer === "on") this.say("Your draft is kept. Correct the other images, then submit once.");
  }

  /** This image and, all or none, the drafts of `others`. */
  async send(others = []) {
    const { imageId, state } = this;
    this.busy = true;
    this.render();
    let answer;
    try {
      const { campaign_id } = this.campaign;
      const objects = state.shapes.map(toObject);
      if (others.length) {
        const drafts = others.map((id) => [id, this.drafts.get(id)]).filter(([, draft]) => draft);
        const images = drafts.map(([image_id, { shapes, revision }]) => ({ image_id, revision, objects: shapes.map(toObject) }));
        images.push({ image_id: imageId, revision: this.base.revision, objects });
        const { campaign, revisions } = await this.api.submitAll(campaign_id, images);
        answer = { campaign, revision: revisions[imageId] };
        for (const id of others) {
          this.drafts.remove(id);
          this.draftIds.delete(id);
          this.records.delete(id);
        }
      } else answer = await this.api.submit(campaign_id, imageId, objects, this.base.revision);
    } catch (error) {
      this.busy = false;
      this.render();
      await this.notSubmitted(error);
      return;
    }
    this.busy = false;
    this.connected = true;
    this.base = { shapes: state.shapes, nothing: state.nothing, revision: answer.revision, done: true };
    this.drafts.remove(imageId);
    this.draftIds.delete(imageId);
    this.records.set(imageId, { ...this.records.get(imageId), objects: state.shapes.map(toObject), done: true, revision: answer.revision });
    this.images.find(({ image_id }) => image_id === imageId).done = true;
    this.campaign = answer.campaign;
    this.showCampaign();
    this.render();
    if (this.campaign.status === "active") this.openNextToDo();
    else this.say("That was the last one: the campaign is complete. Thank you.", "good");
  }

  async notSubmitted(error) {
    if (this.refusedForGood(error)) return;
    if (error instanceof NoConnection) {
      this.connected = false;
      this.render();
      this.say(`Not submitted: the server cannot be reached. ${this.kept ? "Your draft is kept on this device; " : ""}press Enter again later.`, "bad");
    } else if (error instanceof Refused && error.status === 412 && error.details?.image_id !== this.imageId) {
      this.say("Not submitted: one of your drafts is older than what is stored. Look at it first.", "bad");
      await this.open(error.details.image_id);
    } else if (error instanceof Refused && error.status === 412) await this.askAboutStaleWrite();
    else {
      if (error instanceof Refused && error.status === 409) await this.look();
      this.say(`Not submitted: ${error.message}.`, "bad");
    }
  }

  async askAboutStaleWrite() {
    let record;
    try {
      record = await this.api.image(this.campaign.campaign_id, this.imageId);
    } catch {
      this.say("Not submitted: this image was changed elsewhere, and the server cannot be reached now.", "bad");
      return;
    }
    const mine = count(this.shapes.length, "shape");
    const answer = await ask(
      "Not submitted: this image was changed elsewhere",
      `Since you opened it, it was submitted from another tab or device. Stored now: ${count(record.objects.length, "shape")}. Here: ${mine}. Nothing was overwritten.`,
      [["later", "Decide later"], ["stored", "Show the stored ones"], ["mine", "Overwrite with mine"]],
    );
    if (answer === "stored") {
      this.drafts.remove(this.imageId);
      this.draftIds.delete(this.imageId);
      await this.open(this.imageId);
    } else if (answer === "mine") {
      this.base = { ...this.base, revision: record.revision };
      await this.send();
    }
  }

  refusedForGood(error) {
    if (error instanceof Refused && error.status === 401) {
      this.close();
      this.door.locked();
      return true;
    }
    return false;
  }

  /** At the campaign: it may have been completed, reopened, or finished meanwhile. */
  async look() {
    let campaign;
    try {
      campaign = await this.api.campaign(this.campaign.campaign_id);
      this.connected = true;
    } catch (error) {
      if (this.refusedForGood(error)) return;
      this.connected = !(error instanceof NoConnection);
      this.showSaved();
      return;
    }
    if (!this.isOpen) return;
    if (!byId("retry-button").hidden) return void this.open(this.imageId);
    if (this.busy) return;
    const before = this.campaign.status;
    const grown = campaign.progress.total !== this.campaign.progress.total;
    this.campaign = campaign;
    this.showCampaign();
    if (before !== campaign.status) {
      this.gestures.cancel();
      this.render();
      this.notices.live(`The campaign is now ${campaign.status}.`);
    } else this.showSaved();
    if (grown) this.images = await this.api.images(campaign.campaign_id).catch(() => this.images);
  }

  // --- another tab

  elsewhere(imageId, draft) {
    if (draft) this.draftIds.add(imageId);
    else this.draftIds.delete(imageId);
    if (imageId !== this.imageId || !this.loaded || this.foreign || this.busy) return;
    if (!draft) {
      // Submitted or taken back over there. What was here was there too: nothing is lost.
      this.drafts.remove(imageId);
      this.open(imageId);
    } else if (this.drafts.follows(imageId, draft)) {
      this.drafts.saw(imageId, draft);
      this.history = new History({ shapes: draft.shapes, nothing: draft.nothing });
      if (!this.selected) this.selectedId = null;
      this.corner = null;
      this.render();
      this.say("This image is being labeled in another tab: its draft is shown.");
    } else this.askWhichTab();
  }

  askWhichTab() {
    this.foreign = true;
    this.notices.banner("This image is also being labeled in another tab. What you draw here is not saved until you choose.", [
      ["Show the other tab's", () => this.open(this.imageId)],
      ["Keep mine", () => this.keepMine()],
    ]);
    this.render();
  }

  keepMine() {
    this.foreign = false;
    this.notices.banner(null);
    this.showCampaign();
    this.keep({ force: true });
    this.render();
  }

  // --- shapes

  select(id) {
    this.selectedId = id;
    this.corner = null;
    this.render();
    const shape = this.selected;
    if (!shape) return;
    this.viewport.reveal(shape.box);
    const place = this.shapes.indexOf(shape) + 1;
    this.notices.live(`${this.labels.shown(shape.label)}, ${describe(shape)}. Shape ${place} of ${this.shapes.length}.`);
  }

  async add(make) {
    if (this.readOnly) return void this.refuse();
    if (this.label === null) {
      const name = await searchLabel(this.labels);
      if (name === null) return;
      this.learn(name);
    }
    const shape = make(this.label);
    const state = { shapes: [...this.shapes, shape], nothing: false };
    this.change(state, { select: shape.id, say: `${this.labels.shown(shape.label)}, ${describe(shape)} added.` });
  }

  learn(name) {
    this.labels.learn(name);
    this.label = name;
  }

  replace(shape, options) {
    const shapes = this.shapes.map((one) => (one.id === shape.id ? shape : one));
    return this.change({ ...this.state, shapes }, { select: shape.id, ...options });
  }

  /** After Annotorious: the geometry is made fit for the image, and given back. */
  edited(id, geometry) {
    const shape = this.shapes.find((one) => one.id === id);
    const changed = shape && !this.readOnly && withGeometry(shape, geometry, this.viewport.size);
    if (!changed || changed === shape) this.render();
    else this.replace(changed);
  }

  nudge(dx, dy, { resize, amend }) {
    const shape = this.selected;
    if (!shape) return false;
    if (this.readOnly) return this.refuse();
    let geometry;
    const corner = this.corner;
    if (shape.points) {
      const moves = (i) => corner === null || i === corner;
      geometry = { points: shape.points.map(([x, y], i) => (moves(i) ? [x + dx, y + dy] : [x, y])) };
      if (corner !== null) geometry.points[corner] = pixel(geometry.points[corner], this.viewport.size);
      if (resize && corner === null) geometry = { points: stretched(shape, dx, dy) };
    } else {
      const [xmin, ymin, xmax, ymax] = shape.box;
      geometry = resize
        ? { box: [xmin, ymin, Math.max(xmin + 1, xmax + dx), Math.max(ymin + 1, ymax + dy)] }
        : { box: [xmin + dx, ymin + dy, xmax + dx, ymax + dy] };
    }
    const changed = withGeometry(shape, geometry, this.viewport.size);
    if (!changed || changed === shape) return true;
    if (corner !== null && changed.points.length !== shape.points.length) return true;
    this.replace(changed, { amend, say: describe(changed) });
    this.corner = corner;
    this.markCorner();
    return true;
  }

  nextCorner(direction) {
    const points = this.selected?.points;
    if (!points) return void this.say("Select a polygon first: C goes through its corners.");
    const before = this.corner ?? (direction > 0 ? -1 : 0);
    this.corner = (before + direction + points.length) % points.length;
    this.markCorner();
    this.notices.live(`Corner ${this.corner + 1} of ${points.length} at ${points[this.corner].join(", ")}.`);
  }

  markCorner() {
    const point = this.corner === null ? null : this.selected?.points?.[this.corner];
    this.paint.corner(point, (8 * this.viewport.size.width) / this.viewport.width);
  }

  plus() {
    const { corner, selected } = this;
    if (corner === null || !selected) return this.zoom(1);
    const { points } = selected;
    const [a, b] = [points[corner], points[(corner + 1) % points.length]];
    const middle = pixel([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], this.viewport.size);
    const changed = withGeometry(selected, { points: points.toSpliced(corner + 1, 0, middle) }, this.viewport.size);
    if (changed.points.length === points.length) return void this.say("There is no room for another corner here.");
    if (this.replace(changed, { say: "Corner added." })) {
      this.corner = corner + 1;
      this.markCorner();
    }
    return undefined;
  }

  deleteKey() {
    if (this.gestures.corners.length) return void this.gestures.dropCorner();
    if (this.canvas.hasSelectedCorners()) return false; // Annotorious deletes those
    if (this.corner !== null && this.selected?.points) return void this.deleteCorner();
    return this.deleteSelected();
  }

  deleteCorner() {
    const { points } = this.selected;
    if (points.length < 4) return void this.say("A polygon needs three corners.");
    const geometry = { points: points.toSpliced(this.corner, 1) };
    const corner = this.corner % geometry.points.length;
    if (this.replace(withGeometry(this.selected, geometry, this.viewport.size), { say: "Corner deleted." })) {
      this.corner = corner;
      this.markCorner();
    }
    return undefined;
  }

  deleteSelected() {
    if (!this.selected) return;
    const shapes = this.shapes.filter(({ id }) => id !== this.selectedId);
    this.change({ ...this.state, shapes }, { select: null, say: "Shape deleted." });
  }

  /** Without a mouse: in the middle of what is seen, a quarter of it wide and high. */
  insert(kind) {
    const { x, y, width, height } = this.viewport.seen();
    const [w, h] = [Math.max(width / 8, 1), Math.max(height / 8, 1)];
    const { size } = this.viewport;
    const [xmin, ymin] = pixel([x - w, y - h], size);
    const [xmax, ymax] = pixel([x + w, y + h], size);
    if (kind === "box") return this.add((label) => makeBox(label, [xmin, ymin, Math.max(xmax, xmin + 1), Math.max(ymax, ymin + 1)]));
    return this.add((label) => makePolygon(label, [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]]));
  }

  cycle(direction) {
    if (!this.shapes.length) return;
    const at = this.shapes.findIndex(({ id }) => id === this.selectedId);
    const next = at < 0 ? (direction > 0 ? 0 : this.shapes.length - 1) : at + direction;
    this.select(this.shapes[(next + this.shapes.length) % this.shapes.length].id);
  }

  chooseLabelAt(place) {
    const name = this.labels.names[place];
    if (name !== undefined) this.chooseLabel(name);
    return true;
  }

  chooseLabel(name) {
    this.learn(name);
    const shape = this.selected;
    if (shape && shape.label !== name && !this.readOnly) this.replace({ ...shape, label: name, confidence: 1 });
    else this.render();
    this.notices.live(`Label ${this.labels.shown(name)}.`);
  }

  async search() {
    if (this.readOnly) return void this.refuse();
    const name = await searchLabel(this.labels);
    if (name !== null) this.chooseLabel(name);
    this.canvas.focus();
  }

  toggleNothing() {
    if (this.shapes.length) return void this.say("There are shapes on this image: delete them first.", "warn");
    const nothing = !this.state.nothing;
    this.change({ ...this.state, nothing }, { say: nothing ? "Nothing here. Enter submits." : "Nothing here taken back." });
  }

  undo() {
    this.travel(() => this.history.undo(), "Nothing to undo.", "Undone.");
  }

  redo() {
    this.travel(() => this.history.redo(), "Nothing to redo.", "Redone.");
  }

  travel(go, nowhere, done) {
    if (this.gestures.corners.length) return void this.gestures.dropCorner();
    if (this.readOnly) return void this.refuse();
    if (!go()) return void this.say(nowhere);
    if (!this.selected) this.selectedId = null;
    this.corner = null;
    this.changed();
    this.notices.live(`${done} ${count(this.shapes.length, "shape")}.`);
  }

  // --- keys that mean different things at different times

  enter() {
    if (this.gestures.corners.length) this.gestures.closePolygon();
    else this.submit();
  }

  cancel() {
    if (this.gestures.cancel()) return;
    if (this.corner !== null) {
      this.corner = null;
      this.markCorner();
    } else if (this.selectedId) this.select(null);
  }

  holdSpace(held) {
    this.gestures.spaceHeld = held;
    this.view.classList.toggle("pan", held || this.tool === "pan");
  }

  setTool(tool) {
    this.gestures.cancel();
    this.tool = tool;
    for (const name of ["box", "polygon", "pan"]) byId(`tool-${name}`).setAttribute("aria-pressed", String(name === tool));
    this.view.classList.toggle("pan", tool === "pan");
  }

  zoom(direction) {
    this.viewport.step(direction);
  }

  fit() {
    this.viewport.fit();
  }

  help() {
    openHelp();
  }

  showInstructions() {
    openInstructions(this.campaign.instructions);
  }

  showList() {
    this.list.show();
  }

  leave() {
    this.door.choose();
  }

  // --- what is seen

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
    const { shapes, selectedId, readOnly, labels } = this;
    const looks = new Map(shapes.map(({ id, label }) => [id, { colour: labels.colour(label), text: labels.shown(label) }]));
    if (this.loaded) {
      this.paint.shapes(shapes, looks, selectedId);
      this.canvas.sync(shapes, selectedId, !readOnly);
      this.markCorner();
    }
    showLabels(labels, this.selected?.label ?? this.label, readOnly, (name) => {
      this.chooseLabel(name);
    });
    showShapes(shapes, selectedId, labels, (id) => {
      this.select(id);
      this.canvas.focus();
    });
    byId("no-shapes").textContent = shapes.length || !this.loaded ? "" : this.state.nothing ? "Nothing here." : "None yet. Draw on the picture.";
    const nothing = byId("nothing-button");
    nothing.setAttribute("aria-pressed", String(this.state.nothing));
    nothing.disabled = readOnly || shapes.length > 0;
    this.showDrawing();
    byId("redo-button").disabled = readOnly || !this.history.canRedo;
    byId("delete-button").disabled = readOnly || !this.selected;
    byId("search-button").disabled = readOnly;
    for (const tool of ["box", "polygon"]) byId(`tool-${tool}`).disabled = this.campaign.status !== "active";
    byId("previous-button").disabled = this.position <= 0;
    byId("next-button").disabled = this.position >= this.images.length - 1;
    byId("place").textContent = `${this.position + 1} / ${this.images.length}${this.name ? `  ·  ${this.name}` : ""}`;
    byId("place").title = this.name;
    this.view.classList.toggle("readonly", readOnly);
    this.showSaved();
    this.showReadout();
  }
}

function stretched({ points, box: [xmin, ymin, xmax, ymax] }, dx, dy) {
  const scale = (value, low, high, by) => (high > low ? low + ((value - low) * Math.max(1, high - low + by)) / (high - low) : value);
  return points.map(([x, y]) => [scale(x, xmin, xmax, dx), scale(y, ymin, ymax, dy)]);
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
