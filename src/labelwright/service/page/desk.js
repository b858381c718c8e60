/* The desk: one campaign, one image at a time. Its parts stand one on another: what is seen (view.js), what is done to
   shapes (editing.js), what is sent (submitting.js), what only helps (tools.js),
   what is asked and skipped (asking.js), and here the state and the way from image to image. */

import { NoConnection } from "./api.js";
import { DeskAsking } from "./asking.js";
import { Canvas } from "./canvas.js";
import { ask } from "./dialogs.js";
import { Drafts, stateOf } from "./drafts.js";
import { byId } from "./elements.js";
import { Gestures } from "./gestures.js";
import { openHelp, showKeys } from "./help.js";
import { openInstructions } from "./instructions.js";
import { listen } from "./keys.js";
import { Labels } from "./labels.js";
import { ImageList } from "./list.js";
import { Notices } from "./notices.js";
import { Paint } from "./paint.js";
import { Pictures } from "./pictures.js";
import { fromObject, makeBox, makePolygon, sameObjects, shapeCount } from "./shapes.js";
import { bindSuggestions, suggestionsOf, withOrigins } from "./suggestions.js";
import { text } from "./texts.js";
import { TileLayer, blank } from "./tiles.js";
import { History } from "./undo.js";
import { Viewport } from "./viewport.js";

const AHEAD = 2; // images that are fetched before they are asked for
const LOOK_EVERY_MS = 20_000; // at the campaign's state
const EMPTY = { shapes: [], nothing: false, decided: [] };
const UNSAVED = { ...EMPTY, revision: "none", done: false, reopened: null, skipped: null };

/* What lives as long as the page: campaigns come and go on the same desk. */
let parts = null;

function assemble() {
  const view = byId("view");
  const stage = byId("stage");
  const now = () => parts.desk;
  const viewport = new Viewport(view, stage, () => now()?.viewChanged());
  const paint = new Paint();
  const tiles = new TileLayer(viewport, (count) => now()?.showPendingTiles(count));
  const canvas = new Canvas(stage, [tiles.layer, paint.svg, paint.tags], {
    onDrag: (id, geometry) => paint.place(id, geometry),
    onEdited: (id, geometry) => now()?.edited(id, geometry),
  });
  const desk = {
    tool: () => now().tool,
    colour: () => now().labels.colour(now().label ?? ""),
    readOnly: () => now().readOnly,
    select: (id) => now().select(id),
    drewBox: (box) => now().add("box", (label, attributes) => makeBox(label, attributes, box)),
    drewPolygon: (points) => now().add("polygon", (label, attributes) => makePolygon(label, attributes, points)),
    startPolygon: () => now().select(null),
    cornersChanged: () => now()?.showDrawing(),
    redraw: () => now().render(),
    pointAt: (point) => now().pointAt(point),
    say: (message, kind) => now().say(message, kind),
  };
  const gestures = new Gestures(view, viewport, canvas, paint, desk);
  return { view, viewport, tiles, canvas, paint, gestures, notices: new Notices(), desk: null };
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
    "adjust-button": () => desk().toggleAdjust(),
    "undo-button": () => desk().undo(),
    "redo-button": () => desk().redo(),
    "delete-button": () => desk().deleteSelected(),
    "search-button": () => desk().search(),
    "skip-button": () => desk().skip(),
    "note-button": () => desk().writeNote(),
    "nothing-button": () => desk().toggleNothing(),
    "submit-button": () => desk().enter(),
    "retry-button": () => desk().open(desk().imageId),
  };
  for (const [id, action] of Object.entries(buttons)) {
    byId(id).addEventListener("click", (event) => {
      action();
      // After a click with the mouse the keys are the picture's again; who came by keyboard stays on the button.
      if (id !== "adjust-button" && event.detail > 0 && !document.querySelector("dialog[open]")) parts.canvas.focus();
    });
  }
  bindSuggestions(desk);
  showKeys();
  listen(
    new Proxy({}, { get: (_, name) => (name === "isOpen" ? parts.desk?.isOpen : (...given) => parts.desk?.[name](...given)) }),
  );
  addEventListener("beforeunload", (event) => {
    if (parts.desk?.mayBeLost) event.preventDefault();
  });
  for (const name of ["online", "offline"]) addEventListener(name, () => parts.desk?.look());
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && parts.desk?.look());
}

export class Desk extends DeskAsking {
  /** `door`: {choose, locked}, what to do when the campaign or the key is left. */
  constructor(api, me, campaign, door) {
    super();
    if (!parts) {
      parts = assemble();
      bind();
    }
    Object.assign(this, parts, { api, me, campaign, door });
    parts.desk = this;
    this.labels = new Labels(campaign.labels ?? null, campaign.label_translations, campaign.label_schema);
    this.label = this.labels.names[0] ?? null;
    this.tool = "box";
    this.lastTool = "box";
    this.hidden = new Set(); // ids of shapes, of this image
    this.locked = new Set();
    this.images = [];
    this.imageId = null;
    this.history = new History(EMPTY);
    this.base = UNSAVED;
    this.selectedId = null;
    this.corner = null;
    this.pendingTiles = 0;
    this.busy = true;
    this.loaded = false;
    this.kept = true;
    this.foreign = false;
    this.connected = true;
    this.records = new Map();
    this.list = new ImageList(this, (imageId) => this.open(imageId));
    this.pictures = new Pictures(api, campaign.campaign_id, (imageId) => Boolean(this.tilesOf(imageId)), (...progress) => this.showProgress(...progress));
    this.drafts = new Drafts(me.email, campaign.campaign_id, (imageId, draft) => this.elsewhere(imageId, draft));
    this.draftIds = this.drafts.imageIds();
    this.suggestions = [];
    this.threshold = this.drafts.threshold;
    this.isOpen = true;
  }

  async start() {
    this.notices.clear();
    this.tool = "pan";
    this.followLabel();
    this.showCampaign();
    this.cover(text("image.loading"));
    try {
      this.images = await this.api.images(this.campaign.campaign_id);
    } catch (error) {
      if (this.refusedForGood(error)) return;
      this.cover(text("campaign.retrying", { message: error.message }));
      setTimeout(() => this.isOpen && this.start(), 4000);
      return;
    }
    if (!this.images.length) {
      this.cover(text("campaign.no_images"));
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
    this.tiles.clear();
    this.canvas.clear();
    this.paint.shapes([], new Map(), null);
    this.list.close();
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
    const { suggested } = this;
    return this.shapes.find(({ id }) => id === this.selectedId) ?? (suggested?.box ? suggested : null);
  }

  get readOnly() {
    return this.busy || !this.loaded || this.campaign.status !== "active";
  }

  get dirty() {
    const { nothing, decided } = this.state;
    return nothing !== this.base.nothing || decided.length !== this.base.decided.length || !sameObjects(this.shapes, this.base.shapes);
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
    this.history.push(withOrigins(this.state, { ...this.state, ...state }, this.suggestions), { amend });
    this.selectedId = this.isSelectable(select) ? select : null;
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
    if (status !== "active") this.say(text("campaign.no_change", { status: text(`status.${status}`) }), "warn");
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
    this.hidden.clear();
    this.locked.clear();
    this.history = new History(EMPTY);
    this.suggestions = [];
    this.base = UNSAVED;
    this.name = "";
    this.tiles.clear();
    this.canvas.clear();
    this.paint.shapes([], new Map(), null);
    this.notices.banner(null);
    this.drafts.place = imageId;
    this.cover(text("loading.image", { number: this.position + 1, all: this.images.length }));
    this.render();
    let record;
    let picture;
    try {
      [record, picture] = await Promise.all([this.record(imageId), this.pictures.get(imageId)]);
      if (this.opening !== opening) return;
      if (!picture.reduced && (picture.width !== record.width || picture.height !== record.height)) {
        const [shown, stored] = [picture, record].map(({ width, height }) => `${width} × ${height}`);
        throw new Error(text("error.other_size", { shown, stored }));
      }
      await this.showPicture(picture, record, text("image.number", { number: this.position + 1 }));
    } catch (error) {
      if (this.opening === opening && !this.refusedForGood(error)) this.cover(error.message, true);
      return;
    }
    if (this.opening !== opening) return;
    this.cover(null);
    this.take(record);
    this.paint.show({ width: record.width, height: record.height });
    this.viewport.show({ width: record.width, height: record.height });
    if (picture.reduced) this.showTiles(picture, record);
    this.loaded = true;
    this.busy = false;
    this.render();
    if (!document.querySelector("dialog[open]")) this.canvas.focus();
    this.notices.live(text("image.opened", { number: this.position + 1, total: this.images.length, count: this.shapes.length }));
    this.showCampaign();
    this.prefetch();
    if (this.draftIsStale) await this.askAboutStaleDraft(record);
  }

  /** Of a large picture Annotorious gets one of its size with nothing in it: what is seen are tiles. */
  async showPicture({ url, reduced }, { width, height }, alt) {
    if (!reduced) return void (await this.canvas.show(url, alt));
    const empty = blank(width, height);
    await this.canvas.show(empty, alt);
    URL.revokeObjectURL(empty);
  }

  showTiles({ url }, { image_id, width, height }) {
    const { size, levels } = this.tilesOf(image_id);
    this.tiles.show({ url, width, height, size, levels, tile: (path) => this.api.tile(this.campaign.campaign_id, image_id, path) });
  }

  tilesOf(imageId) {
    return this.images.find(({ image_id }) => image_id === imageId)?.tiles ?? null;
  }

  showPendingTiles(count) {
    this.pendingTiles = count;
    this.showReadout();
  }

  /** What is loading, for those who wait for a slow network. */
  showProgress(imageId, bytes, all) {
    if (imageId !== this.imageId || this.loaded) return;
    const megabytes = (number) => (number / 1e6).toFixed(1);
    const values = { number: this.position + 1, bytes: megabytes(bytes), all: megabytes(all) };
    this.cover(text(all ? "loading.bytesOfAll" : "loading.bytes", values));
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
    const { done, revision, reopened = null, skipped = null } = record;
    this.suggestions = suggestionsOf(record.predictions ?? [], this.labels);
    this.base = { shapes, nothing: done && !shapes.length && skipped === null, decided: [], revision, done, reopened, skipped };
    for (const { label } of shapes) this.labels.learn(label);
    const draft = this.drafts.get(this.imageId);
    if (draft) this.drafts.saw(this.imageId, draft);
    this.draftIsStale = false;
    this.kept = true;
    const stored = stateOf(this.base);
    if (draft && !sameObjects(draft.shapes, shapes)) {
      this.history = new History(stateOf(draft));
      for (const { label } of draft.shapes) this.labels.learn(label);
      this.draftIsStale = draft.revision !== record.revision;
    } else if (draft && (draft.nothing !== stored.nothing || draft.decided.length) && draft.revision === record.revision) {
      this.history = new History(stateOf(draft));
    } else {
      this.history = new History(stored);
      if (draft) {
        this.drafts.remove(this.imageId);
        this.draftIds.delete(this.imageId);
      }
    }
    if (this.label === null && this.labels.names.length) {
      this.label = this.labels.names[0];
      this.followLabel();
    }
  }

  async askAboutStaleDraft(record) {
    const answer = await ask(
      text("draft.stale"),
      text("draft.stale_text", { stored: shapeCount(record.objects), mine: shapeCount(this.shapes) }),
      [["stored", text("draft.show_stored")], ["mine", text("draft.keep_mine"), true]],
    );
    if (answer === "stored") this.dropDraft();
    else this.keep();
    this.render();
  }

  dropDraft() {
    this.history = new History(stateOf(this.base));
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
    else this.say(text(direction > 0 ? "image.last" : "image.first"));
  }

  openNextToDo() {
    const from = this.position;
    for (let i = 1; i <= this.images.length; i += 1) {
      const image = this.images[(from + i) % this.images.length];
      if (!image.done) return this.open(image.image_id);
    }
    this.say(text("image.all_done"));
    this.render();
    return undefined;
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
    if (tool !== "pan" && this.loaded && !this.mayDraw(tool)) return void this.refuseTool(tool);
    this.gestures.cancel();
    this.tool = tool;
    if (tool !== "pan") this.lastTool = tool;
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
    const pictureOf = (name) => {
      const image = this.images.find((one) => one.name === name);
      if (!image) return null;
      const { campaign_id } = this.campaign;
      return image.tiles ? this.api.overview(campaign_id, image.image_id) : this.api.picture(campaign_id, image.image_id);
    };
    openInstructions(this.campaign.instructions, pictureOf);
  }

  showList() {
    this.list.show();
  }

  leave() {
    this.door.choose();
  }
}
