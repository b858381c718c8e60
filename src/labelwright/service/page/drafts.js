/* Unsubmitted work, kept on this device at once. Only submitting sends anything: the last image that is sent completes
   the campaign, so nothing may be sent behind the labeler's back.

   A draft is {shapes, nothing, revision, tab, saved}: `revision` is that of the stored objects it began from, `tab` the
   browser tab that wrote it, so that two tabs on one image notice each other. */

const tab = `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;

export class Drafts {
  /** `labeler` is the e-mail: a rotated key keeps its drafts. `onForeign(imageId, draft | null)` is told when another
      tab writes or removes a draft of this campaign. */
  constructor(labeler, campaignId, onForeign) {
    this.prefix = `labelwright.draft/${labeler}/${campaignId}/`;
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

  /** False when the device does not keep it (storage full or switched off): the page then says so. */
  put(imageId, { shapes, nothing, revision }) {
    return write(this.prefix + imageId, JSON.stringify({ shapes, nothing, revision, tab, saved: Date.now() }));
  }

  remove(imageId) {
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

  get place() {
    return Number(read(this.placeName)) || null;
  }

  set place(imageId) {
    write(this.placeName, String(imageId));
  }
}

export const isForeign = (draft) => draft.tab !== tab;

function parse(text) {
  try {
    const draft = JSON.parse(text);
    return draft && Array.isArray(draft.shapes) ? draft : null;
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
