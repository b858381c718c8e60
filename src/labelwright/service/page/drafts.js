/* Unsubmitted work, kept on this device at once. Only submitting sends anything: the last image that is sent completes
   the campaign, so nothing may be sent behind the labeler's back.

   A draft is {shapes, nothing, decided, revision, id, after}: `decided` has the keys of suggestions that are accepted or
   refused (suggestions.js), `revision` is that of the stored objects it began from, `after` the id of the draft that its
   writer had seen. So two tabs on one image can follow each other, and notice when they do not. */

/** What of a draft is the image's state. */
export const stateOf = ({ shapes, nothing, decided }) => ({ shapes, nothing, decided });

export class Drafts {
  /** `labeler` is the e-mail: a rotated key keeps its drafts. `onForeign(imageId, draft | null)` is told when another
      tab writes or removes a draft of this campaign. */
  constructor(labeler, campaignId, onForeign) {
    this.prefix = `labelwright.draft/${labeler}/${campaignId}/`;
    this.seen = new Map(); // image id -> id of the newest draft that this tab has shown or written
    this.thresholdName = `labelwright.threshold/${labeler}/${campaignId}`;
    this.placeName = `labelwright.place/${labeler}/${campaignId}`;
    this.listener = (event) => {
      if (!event.key?.startsWith(this.prefix)) return;
      onForeign(Number(event.key.slice(this.prefix.length)), parse(event.newValue));
    };
    addEventListener("storage", this.listener);
  }

  close() {
    removeEventListener("storage", this.listener);
  }

  get(imageId) {
    return parse(read(this.prefix + imageId));
  }

  /** "kept"; "foreign" when another tab's draft is there that this one has not seen, and which stays; "full" when the
      device does not keep it (storage full or switched off). The page says so. */
  put(imageId, { shapes, nothing, decided, revision }, { force = false } = {}) {
    const there = this.get(imageId);
    const after = this.seen.get(imageId) ?? null;
    if (there && there.id !== after && !force) return "foreign";
    const id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    if (!write(this.prefix + imageId, JSON.stringify({ shapes, nothing, decided, revision, id, after }))) return "full";
    this.seen.set(imageId, id);
    return "kept";
  }

  /** Whether a draft of another tab goes on from what this tab has shown. */
  follows(imageId, draft) {
    return draft.after === (this.seen.get(imageId) ?? null);
  }

  saw(imageId, draft) {
    this.seen.set(imageId, draft.id);
  }

  remove(imageId) {
    this.seen.delete(imageId);
    try {
      localStorage.removeItem(this.prefix + imageId);
    } catch {
      // Nothing was kept, so nothing is left behind.
    }
  }

  imageIds() {
    const ids = new Set();
    try {
      for (let i = 0; i < localStorage.length; i += 1) {
        const name = localStorage.key(i);
        if (name.startsWith(this.prefix)) ids.add(Number(name.slice(this.prefix.length)));
      }
    } catch {
      // No storage, no drafts.
    }
    return ids;
  }

  /** The confidence from which on suggestions are shown, 0 to 1. */
  get threshold() {
    const threshold = Number(read(this.thresholdName));
    return threshold > 0 && threshold <= 1 ? threshold : 0;
  }

  set threshold(threshold) {
    write(this.thresholdName, String(threshold));
  }

  get place() {
    return Number(read(this.placeName)) || null;
  }

  set place(imageId) {
    write(this.placeName, String(imageId));
  }
}

function parse(text) {
  try {
    const draft = JSON.parse(text);
    if (!draft || !Array.isArray(draft.shapes)) return null;
    // Drafts of older versions of the page have no attributes and no suggestions.
    return { decided: [], ...draft, shapes: draft.shapes.map((shape) => ({ attributes: {}, ...shape })) };
  } catch {
    return null;
  }
}

function read(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function write(name, value) {
  try {
    localStorage.setItem(name, value);
    return localStorage.getItem(name) === value;
  } catch {
    return false;
  }
}
