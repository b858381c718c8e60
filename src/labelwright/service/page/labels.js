/* The labels of a campaign: geometry, attributes, hierarchy, colours, keys, and names in the labeler's language. */

import { languages as readLanguages } from "./texts.js";

// Told apart on photographs, and by most colour-blind people when taken in this order; the text says it in any case.
const COLOURS = [
  "#f5c518", "#4cc3ff", "#ff7ab6", "#6ee787", "#ff9d4d", "#b69cff",
  "#ff6b6b", "#2dd4bf", "#d4e157", "#f0a8ff", "#8ab4f8", "#e0b08a",
];

export class Labels {
  /** `names` null: any label may be given, and the ones in use are listed. `schema`: [{name, geometry, color, parent,
      attributes}], or null in campaigns that have names only, where every label may be drawn in every way. */
  constructor(names, translations, schema = null, languages = readLanguages()) {
    this.free = names === null || names === undefined;
    this.all = [...(names ?? [])];
    this.translations = translations ?? {};
    this.schema = new Map((schema ?? []).map((label) => [label.name, label]));
    this.languages = languages;
    this.recent = [];
    const ordered = inTreeOrder(this.all, (name) => this.parent(name));
    /** Labels that are drawn, parents before their children; the number keys follow this order. */
    this.names = ordered.filter((name) => this.geometry(name) !== "image");
    /** Labels of the image as a whole. */
    this.wholeImage = ordered.filter((name) => this.geometry(name) === "image");
  }

  learn(name) {
    if (!this.free || this.all.includes(name)) return;
    this.all.push(name);
    this.names.push(name);
  }

  allows(name) {
    return this.free || this.all.includes(name);
  }

  geometry(name) {
    return this.schema.get(name)?.geometry ?? "any";
  }

  /** Whether a label may be drawn as a shape of this kind: "box", "polygon", "parts" (several polygons) or "image". */
  takes(name, kind) {
    const geometry = this.geometry(name);
    return geometry === "any" || geometry === (kind === "parts" ? "polygon" : kind);
  }

  parent(name) {
    return this.schema.get(name)?.parent ?? null;
  }

  /** The names of its parents as shown to the labeler, the topmost first. */
  parents(name) {
    const names = [];
    for (let parent = this.parent(name); parent !== null; parent = this.parent(parent)) names.unshift(this.shown(parent));
    return names;
  }

  attributes(name) {
    return this.schema.get(name)?.attributes ?? [];
  }

  /** The attributes of a new object, or of one whose label changes: what is still valid is kept, defaults are filled in. */
  attributesFor(name, before = {}) {
    const kept = {};
    for (const attribute of this.attributes(name)) {
      const value = fits(attribute, before[attribute.name]) ? before[attribute.name] : attribute.default;
      if (value !== null && value !== undefined && value !== "") kept[attribute.name] = value;
    }
    for (const [key, value] of Object.entries(before)) if (key.startsWith("@") || !this.schema.has(name)) kept[key] = value;
    return kept;
  }

  /** The first attribute of a shape that the service would refuse, or null. */
  missing({ label, attributes }) {
    const invalid = ({ name, required, values }) => {
      const value = attributes[name];
      if (value === undefined || !value.trim()) return required || (value !== undefined && values.length > 0);
      return values.length > 0 && !values.includes(value);
    };
    return this.attributes(label).find(invalid)?.name ?? null;
  }

  /** The name shown to the labeler: in the first of the labeler's languages that the campaign has it in. */
  shown(name) {
    const known = this.translations[name];
    if (!known || typeof known !== "object") return name;
    const byCode = new Map(Object.entries(known).map(([code, text]) => [code.toLowerCase(), text]));
    for (const language of this.languages) {
      const parts = language.toLowerCase().split("-");
      for (let length = parts.length; length > 0; length -= 1) {
        const text = byCode.get(parts.slice(0, length).join("-"));
        if (typeof text === "string" && text.trim()) return text;
      }
    }
    return name;
  }

  colour(name) {
    const { color } = this.schema.get(name) ?? {};
    if (color) return color;
    const place = this.all.indexOf(name);
    return COLOURS[(place < 0 ? hash(name) : place) % COLOURS.length];
  }

  /** The colour of text on the label's colour. */
  ink(name) {
    const [red, green, blue] = this.colour(name).match(/[0-9a-f]{2}/gi).map((part) => Number.parseInt(part, 16));
    return 0.299 * red + 0.587 * green + 0.114 * blue > 110 ? "#111" : "#fff";
  }

  /** Notes that a label was chosen: the search offers the last ones first. */
  used(name) {
    this.recent = [name, ...this.recent.filter((one) => one !== name)].slice(0, 5);
  }

  /** Names that match what was typed, in either language: the one with that number, then those that begin with it. Before
      anything is typed all of them, the last used ones first. */
  search(typed) {
    const wanted = typed.trim().toLowerCase();
    if (!wanted) return [...new Set([...this.recent.filter((name) => this.names.includes(name)), ...this.names])];
    const numbered = /^[0-9]+$/.test(wanted) ? this.names[Number(wanted) - 1] : undefined;
    const rank = (name) => {
      if (name === numbered) return -1;
      const texts = [this.shown(name).toLowerCase(), name.toLowerCase()];
      return texts.some((t) => t.startsWith(wanted)) ? 0 : texts.some((t) => t.includes(wanted)) ? 1 : 2;
    };
    return this.names.filter((name) => rank(name) < 2).sort((a, b) => rank(a) - rank(b));
  }
}

function fits({ values }, value) {
  return typeof value === "string" && value !== "" && (!values.length || values.includes(value));
}

function inTreeOrder(names, parentOf) {
  const ordered = [];
  const add = (parent) => {
    for (const name of names) {
      if (parentOf(name) !== parent) continue;
      ordered.push(name);
      add(name);
    }
  };
  add(null);
  return ordered;
}

function hash(text) {
  let value = 7;
  for (const character of text) value = (value * 31 + character.codePointAt(0)) >>> 0;
  return value;
}
