/* The labels of a campaign: their colours, keys, and names in the labeler's language. */

// Told apart on photographs, and by most colour-blind people when taken in this order; the text says it in any case.
const COLOURS = [
  "#f5c518", "#4cc3ff", "#ff7ab6", "#6ee787", "#ff9d4d", "#b69cff",
  "#ff6b6b", "#2dd4bf", "#d4e157", "#f0a8ff", "#8ab4f8", "#e0b08a",
];

export class Labels {
  /** `names` null: any label may be given, and the ones in use are listed. */
  constructor(names, translations, languages = navigator.languages) {
    this.free = names === null || names === undefined;
    this.names = [...(names ?? [])];
    this.translations = translations ?? {};
    this.languages = languages;
  }

  learn(name) {
    if (this.free && !this.names.includes(name)) this.names.push(name);
  }

  allows(name) {
    return this.free || this.names.includes(name);
  }

  /** The name shown to the labeler: in the first of the browser's languages that the campaign has it in. */
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
    const place = this.names.indexOf(name);
    return COLOURS[(place < 0 ? hash(name) : place) % COLOURS.length];
  }

  /** Names that match what was typed, in either language; those that begin with it first. */
  search(typed) {
    const wanted = typed.trim().toLowerCase();
    const rank = (name) => {
      const texts = [this.shown(name).toLowerCase(), name.toLowerCase()];
      return texts.some((t) => t.startsWith(wanted)) ? 0 : texts.some((t) => t.includes(wanted)) ? 1 : 2;
    };
    return this.names.filter((name) => rank(name) < 2).sort((a, b) => rank(a) - rank(b));
  }
}

function hash(text) {
  let value = 7;
  for (const character of text) value = (value * 31 + character.codePointAt(0)) >>> 0;
  return value;
}
