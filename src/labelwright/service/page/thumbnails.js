/* Thumbnails for the rows in sight: a few at a time, the last ones wanted first, kept for a while. */

const AT_ONCE = 4;
const KEEP = 400;

export class Thumbnails {
  constructor(api, campaignId) {
    this.api = api;
    this.campaignId = campaignId;
    this.urls = new Map(); // image id -> blob URL, oldest first
    this.images = new Map(); // image id -> the <img> that is in sight
    this.wanted = []; // ids
    this.busy = new Set();
  }

  /** Shows those of these [image id, <img>], and forgets all that was wanted before. */
  show(pairs) {
    this.images = new Map(pairs);
    this.wanted = [];
    for (const [imageId, image] of pairs) {
      const url = this.urls.get(imageId);
      if (url) image.src = url;
      else if (!this.busy.has(imageId)) this.wanted.push(imageId);
    }
    this.next();
  }

  next() {
    while (this.busy.size < AT_ONCE && this.wanted.length) this.fetch(this.wanted.shift());
  }

  async fetch(imageId) {
    this.busy.add(imageId);
    try {
      const url = URL.createObjectURL(await this.api.thumbnail(this.campaignId, imageId));
      this.urls.set(imageId, url);
      const image = this.images.get(imageId);
      if (image) image.src = url;
      for (const [old, oldUrl] of this.urls) {
        if (this.urls.size <= KEEP) break;
        URL.revokeObjectURL(oldUrl);
        this.urls.delete(old);
      }
    } catch {
      // The row has its name. It is wanted again when it comes into sight again.
    }
    this.busy.delete(imageId);
    this.next();
  }

  close() {
    for (const url of this.urls.values()) URL.revokeObjectURL(url);
    this.urls.clear();
    this.wanted = [];
  }
}
