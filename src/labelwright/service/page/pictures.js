/* Pictures as blob URLs: fetched once, the next ones ahead of time, revoked when they are far away. Of large ones it is the
   reduced picture; their tiles are fetched as they come into sight (tiles.js). */

import { text } from "./texts.js";

const KEEP = 8;

export class Pictures {
  /** `isLarge(imageId)`: whether it comes reduced, with tiles. `onProgress(imageId, bytes, of all)`. */
  constructor(api, campaignId, isLarge, onProgress) {
    Object.assign(this, { api, campaignId, isLarge, onProgress });
    this.waiting = new Map(); // image id -> promise of {url, width, height, reduced}, oldest first
  }

  get(imageId) {
    const known = this.waiting.get(imageId);
    this.waiting.delete(imageId);
    const picture = known ?? this.fetch(imageId);
    this.waiting.set(imageId, picture);
    this.shrink();
    return picture;
  }

  prefetch(imageIds) {
    for (const imageId of imageIds) {
      if (!this.waiting.has(imageId)) this.get(imageId).catch(() => {});
    }
  }

  fetch(imageId) {
    const onProgress = (bytes, all) => this.onProgress(imageId, bytes, all);
    const reduced = this.isLarge(imageId);
    const blob = reduced ? this.api.overview(this.campaignId, imageId, onProgress) : this.api.picture(this.campaignId, imageId, onProgress);
    const picture = blob.then(decode).then((decoded) => ({ ...decoded, reduced }));
    // A failure is not remembered: the next attempt asks again.
    picture.catch(() => {
      if (this.waiting.get(imageId) === picture) this.waiting.delete(imageId);
    });
    return picture;
  }

  shrink() {
    for (const [imageId, picture] of this.waiting) {
      if (this.waiting.size <= KEEP) return;
      this.waiting.delete(imageId);
      picture.then(({ url }) => URL.revokeObjectURL(url)).catch(() => {});
    }
  }

  close() {
    for (const picture of this.waiting.values()) picture.then(({ url }) => URL.revokeObjectURL(url)).catch(() => {});
    this.waiting.clear();
  }
}

export class NotShowable extends Error {}

/** An <img> applies the EXIF orientation: its natural size is that of the picture as displayed. */
async function decode(blob) {
  const url = URL.createObjectURL(blob);
  try {
    const image = await loaded(url);
    return { url, width: image.naturalWidth, height: image.naturalHeight };
  } catch (error) {
    URL.revokeObjectURL(url);
    throw error;
  }
}

/** Not image.decode(): it waits for a frame, and a tab in the background draws none. */
export function loaded(url) {
  const image = new Image();
  return new Promise((resolve, reject) => {
    image.onload = () => resolve(image);
    image.onerror = () => reject(new NotShowable(text("error.not_showable")));
    image.src = url;
  });
}
