/* Suggestions: what a model predicted for an image that nobody submitted yet. They lie dashed on the picture until the
   labeler accepts, changes or refuses them. Accepted ones are shapes like all others, with an origin: "prediction", and
   "corrected" from the first change on. What was decided is part of the image's state, so that it is undone and kept in
   drafts as shapes are: `decided` has the keys of suggestions that are accepted or refused. */

import { DeskDescribing } from "./describing.js";
import { byId, swatch } from "./elements.js";
import { shownKey } from "./keymap.js";
import { describe, drawn, fromObject, withGeometry } from "./shapes.js";
import { text } from "./texts.js";

/** A suggestion is a shape with a key by which a draft knows it again: of what was predicted, not of its place.
    Attributes that the model does not tell have the schema's defaults. */
export function suggestionsOf(predictions, labels) {
  const counts = new Map();
  return predictions.map((object) => {
    const content = fingerprint(JSON.stringify(object));
    const before = counts.get(content) ?? 0;
    counts.set(content, before + 1);
    const shape = fromObject(object);
    const attributes = labels.attributesFor(shape.label, shape.attributes);
    return { ...shape, attributes, key: before ? `${content}.${before}` : content };
  });
}

/** 53 bits of a text (cyrb53). */
function fingerprint(value) {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
}

/** The state after a change, with true origins: a prediction that was touched is corrected, and a copy of one is the
    labeler's own. */
export function withOrigins(before, after, suggestions) {
  if (!after.shapes.some(({ origin }) => origin)) return after;
  const known = new Map(before.shapes.map((shape) => [shape.id, shape]));
  const suggested = new Set(suggestions.map(({ id }) => id));
  const shapes = after.shapes.map((shape) => {
    const earlier = known.get(shape.id);
    if (!shape.origin || shape === earlier) return shape;
    if (earlier) return { ...shape, origin: shape.origin === "prediction" ? "corrected" : shape.origin };
    if (suggested.has(shape.id)) return shape;
    const { origin, model_version, ...own } = shape;
    return { ...own, confidence: 1 };
  });
  return { ...after, shapes };
}

export const percent = (confidence) => `${Math.floor(confidence * 100)} %`;

export function bindSuggestions(desk) {
  const buttons = {
    "suggestion-previous": () => desk().cycleSuggestions(-1),
    "suggestion-next": () => desk().cycleSuggestions(1),
    "accept-button": () => desk().acceptSuggestion(),
    "refuse-button": () => desk().refuseSuggestion(),
    "accept-all-button": () => desk().acceptAll(),
    "refuse-all-button": () => desk().refuseAll(),
  };
  for (const [id, action] of Object.entries(buttons)) {
    byId(id).addEventListener("click", (event) => {
      action();
      if (event.detail > 0) desk().canvas.focus();
    });
  }
  const slider = byId("threshold");
  slider.addEventListener("input", () => desk().setThreshold(Number(slider.value) / 100));
  slider.addEventListener("keydown", (event) => {
    if (!["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    desk().canvas.focus();
  });
}

export class DeskSuggesting extends DeskDescribing {
  /** Those that are not decided, whatever the model's confidence. */
  get undecided() {
    if (!this.suggestions.length || this.state.nothing) return [];
    const decided = new Set(this.state.decided);
    return this.suggestions.filter(({ key }) => !decided.has(key));
  }

  /** Those that are shown: not decided, and the model is sure enough. */
  get openSuggestions() {
    const { state, threshold, suggestions, memo } = this;
    if (memo && memo.state === state && memo.threshold === threshold && memo.suggestions === suggestions) return memo.open;
    const open = this.undecided.filter(({ confidence }) => confidence >= threshold);
    this.memo = { state, threshold, suggestions, open };
    return open;
  }

  suggestion(id) {
    return this.openSuggestions.find((one) => one.id === id) ?? null;
  }

  /** The suggestion that is selected. One of the whole image has no place on the picture. */
  get suggested() {
    return this.selectedId === null ? null : this.suggestion(this.selectedId);
  }

  setThreshold(threshold) {
    this.threshold = threshold;
    this.drafts.threshold = threshold;
    if (!this.selected && !this.suggested) this.selectedId = null;
    this.render();
  }

  // --- deciding

  acceptSuggestion() {
    const { suggested } = this;
    if (!suggested) return this.cycleSuggestions(1);
    return this.decide([suggested], [this.accepted(suggested)], text("suggestion.accepted", { label: this.labels.shown(suggested.label) }));
  }

  refuseSuggestion() {
    const { suggested } = this;
    if (!suggested) return this.cycleSuggestions(1);
    return this.decide([suggested], [], text("suggestion.refused", { label: this.labels.shown(suggested.label) }));
  }

  acceptAll() {
    const open = this.openSuggestions;
    if (!open.length) return this.say(text("suggestion.none"));
    return this.decide(open, open.map((one) => this.accepted(one)), text("suggestion.all_accepted", { count: open.length }));
  }

  refuseAll() {
    const open = this.openSuggestions;
    if (!open.length) return this.say(text("suggestion.none"));
    return this.decide(open, [], text("suggestion.all_refused", { count: open.length }));
  }

  accepted({ key, ...shape }) {
    this.labels.learn(shape.label);
    return { ...shape, origin: "prediction" };
  }

  /** One step: `shapes` are there in place of the suggestions. Afterwards the next one is selected. */
  decide(suggestions, shapes, say, select) {
    const open = this.openSuggestions;
    const keys = suggestions.map(({ key }) => key);
    const place = open.indexOf(suggestions[0]);
    const left = open.filter((one) => !suggestions.includes(one));
    const next = suggestions.length === 1 ? (left[place] ?? left.at(-1)) : null;
    const whole = new Set(this.shapes.filter(({ kind }) => kind === "image").map(({ label }) => label));
    const added = shapes.filter(({ kind, label }) => kind !== "image" || !whole.has(label));
    const state = { shapes: [...this.shapes, ...added], decided: [...this.state.decided, ...keys] };
    const done = this.change(state, { select: select ?? next?.id ?? null, say });
    if (done && this.selected) this.viewport.reveal(this.selected.box);
    return done;
  }

  cycleSuggestions(direction) {
    const open = this.openSuggestions;
    if (!open.length) return this.say(text("suggestion.none"));
    const at = open.findIndex(({ id }) => id === this.selectedId);
    const next = at < 0 ? (direction > 0 ? 0 : open.length - 1) : at + direction;
    return this.select(open[(next + open.length) % open.length].id);
  }

  // --- what is done to a shape may be done to a suggestion: it is accepted by that, and corrected

  select(id) {
    const suggestion = this.suggestion(id);
    if (!suggestion) return super.select(id);
    this.selectedId = id;
    this.corner = null;
    this.render();
    if (suggestion.box) this.viewport.reveal(suggestion.box);
    this.notices.live(`${this.suggestionText(suggestion)}, ${describe(suggestion)}.`);
    return undefined;
  }

  isSelectable(id) {
    return this.shapes.some((shape) => shape.id === id) || this.suggestion(id) !== null;
  }

  replace(shape, options) {
    const suggestion = this.suggestion(shape.id);
    if (!suggestion) return super.replace(shape, options);
    const corrected = { ...this.accepted({ ...suggestion, ...shape }), confidence: 1, origin: "corrected" };
    return this.decide([suggestion], [corrected], options?.say ?? "", shape.id);
  }

  edited(id, geometry) {
    const suggestion = this.suggestion(id);
    if (!suggestion) return super.edited(id, geometry);
    const changed = !this.readOnly && withGeometry(suggestion, geometry, this.viewport.size);
    if (!changed || changed === suggestion) this.render();
    else this.replace(changed);
    return undefined;
  }

  describe(id, name, value, options) {
    const suggestion = this.suggestion(id);
    if (!suggestion) return super.describe(id, name, value, options);
    if ((suggestion.attributes[name] ?? "") === value) return undefined;
    return this.replace({ ...suggestion, attributes: this.inOrder(suggestion.label, { ...suggestion.attributes, [name]: value }) });
  }

  toggleWholeImage(label) {
    const suggestion = this.openSuggestions.find((one) => one.kind === "image" && one.label === label);
    const taken = this.shapes.some((one) => one.kind === "image" && one.label === label);
    if (!suggestion || taken) super.toggleWholeImage(label);
    else if (!this.decide([suggestion], [this.accepted(suggestion)], text("suggestion.accepted", { label: this.labels.shown(label) }))) this.render();
  }

  deleteSelected() {
    if (this.suggested) this.refuseSuggestion();
    else super.deleteSelected();
  }

  /** Says that suggestions nobody decided about are not submitted, once for each state. True: do not submit yet. */
  asksAboutSuggestions() {
    const count = this.openSuggestions.length;
    if (!count) return false;
    const empty = !this.shapes.length;
    if (!empty && this.askedAbout === this.state) return false;
    this.askedAbout = this.state;
    this.say(text(empty ? "suggestion.decide_first" : "suggestion.not_submitted", { count, key: shownKey("empty") }), "warn");
    return true;
  }

  // --- what is seen

  suggestionText(suggestion) {
    return text("suggestion.text", { label: this.labels.shown(suggestion.label), confidence: percent(suggestion.confidence) });
  }

  /** How a suggestion is painted. */
  suggestionLook({ label, confidence }) {
    return { colour: this.labels.colour(label), ink: this.labels.ink(label), text: `${this.labels.shown(label)} ${percent(confidence)}`, suggested: true };
  }

  showSuggestions() {
    const { undecided, openSuggestions: open, suggested, readOnly } = this;
    byId("suggestions-part").hidden = !this.loaded || readOnly || !undecided.length;
    if (!undecided.length) return;
    byId("suggestion-count").textContent = open.length === undecided.length ? String(open.length) : text("suggestion.count", { shown: open.length, total: undecided.length });
    const slider = byId("threshold");
    const value = String(Math.round(this.threshold * 100));
    if (slider.value !== value) slider.value = value;
    byId("threshold-value").textContent = percent(this.threshold);
    slider.setAttribute("aria-valuetext", percent(this.threshold));
    const current = byId("suggestion-current");
    current.replaceChildren(
      ...(suggested ? [swatch(this.labels.colour(suggested.label)), this.suggestionText(suggested)] : [text(open.length ? "suggestion.choose" : "suggestion.none")]),
    );
    for (const id of ["suggestion-previous", "suggestion-next", "accept-all-button", "refuse-all-button"]) byId(id).disabled = !open.length;
    for (const id of ["accept-button", "refuse-button"]) byId(id).disabled = !suggested;
  }

  get drawnSuggestions() {
    return drawn(this.openSuggestions);
  }
}
