/* The service's API, relative to the page, so that it also works below a path of a reverse proxy. */

import { text } from "./texts.js";

export class NoConnection extends Error {}

/** The service said no: `status` and `code` say how, `message` is its own sentence. */
export class Refused extends Error {
  constructor(status, code, message, details) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

const TIMEOUT_MS = 30_000;

export class Api {
  constructor({ key, secret }) {
    this.headers = { "Authentication-Key": key, "Authentication-Secret": secret };
    this.base = new URL("api/v1/", location.href);
  }

  /** {me: {email, role}, campaigns: [...]}, the newest first. */
  campaigns() {
    return this.json("labeling/campaigns");
  }

  campaign(id) {
    return this.json(`labeling/campaigns/${id}`);
  }

  /** All images of a campaign: [{image_id, name, width, height, tiles, done, reopened?, skipped?, notes?, answers?}]. */
  images(campaignId) {
    return this.everything(`labeling/campaigns/${campaignId}/images`, "images");
  }

  /** All pages of a list. */
  async everything(path, name) {
    const all = [];
    for (let page = 1, pages = 1; page <= pages; page += 1) {
      const answer = await this.json(`${path}?page=${page}&per_page=10000`);
      for (const one of answer[name]) all.push(one);
      pages = answer.pagination.pages;
    }
    return all;
  }

  /** {image_id, name, width, height, done, objects, revision, reopened, skipped, notes} */
  image(campaignId, imageId) {
    return this.json(`labeling/campaigns/${campaignId}/images/${imageId}`);
  }

  /** Refused with 412 when the stored objects are not those of `revision` any more. */
  submit(campaignId, imageId, objects, revision) {
    return this.json(`labeling/campaigns/${campaignId}/images/${imageId}`, {
      method: "PUT",
      headers: { "Content-Type": "application/json", "If-Match": `"${revision}"` },
      body: JSON.stringify({ objects }),
    });
  }

  /** [{image_id, objects, revision}] at once, all or none. */
  submitAll(campaignId, images) {
    return this.json(`labeling/campaigns/${campaignId}/images`, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ images }),
    });
  }

  /** Refused with 412 like `submit`, with 409 when the campaign does not allow it. */
  skip(campaignId, imageId, reason, revision) {
    return this.json(`labeling/campaigns/${campaignId}/images/${imageId}/skip`, {
      method: "PUT",
      headers: { "Content-Type": "application/json", "If-Match": `"${revision}"` },
      body: JSON.stringify({ reason }),
    });
  }

  /** `shape`: {label, bounding_box}, or null. The same note again is the one that is there. */
  addNote(campaignId, imageId, text, shape) {
    return this.json(`labeling/campaigns/${campaignId}/images/${imageId}/notes`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text, shape }),
    });
  }

  /** The picture itself. The API answers with a redirect to a signed URL of the same host, which fetch follows. */
  picture(campaignId, imageId, onProgress) {
    return this.blob(`labeling/campaigns/${campaignId}/images/${imageId}/picture`, onProgress);
  }

  /** The picture with at most 2,048 pixels a side. */
  overview(campaignId, imageId, onProgress) {
    return this.blob(`labeling/campaigns/${campaignId}/images/${imageId}/overview`, onProgress, "default");
  }

  thumbnail(campaignId, imageId) {
    return this.blob(`labeling/campaigns/${campaignId}/images/${imageId}/thumbnail`, undefined, "default");
  }

  tile(campaignId, imageId, path) {
    return this.blob(`labeling/campaigns/${campaignId}/images/${imageId}/tiles/${path}`, undefined, "default");
  }

  /** A file, however long it takes, as long as something comes. `onProgress(bytes, of all)`; 0 of all: not known. */
  async blob(path, onProgress = () => {}, cache = "no-store") {
    const stalled = new AbortController();
    let timer;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(), TIMEOUT_MS);
    };
    wait();
    try {
      const answer = await this.fetch(path, { patience: stalled.signal, cache });
      const all = Number(answer.headers.get("Content-Length")) || 0;
      const chunks = [];
      let bytes = 0;
      for (const reader = answer.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        wait();
        chunks.push(value);
        bytes += value.length;
        onProgress(bytes, all);
      }
      return new Blob(chunks, { type: answer.headers.get("Content-Type") ?? "" });
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw new NoConnection(text("error.unreachable"));
    } finally {
      clearTimeout(timer);
    }
  }

  async json(path, options) {
    const answer = await this.fetch(path, options);
    return answer.json();
  }

  /** `patience`: a signal in place of the deadline. */
  async fetch(path, { headers, patience, ...options } = {}) {
    let answer;
    try {
      answer = await fetch(new URL(path, this.base), {
        cache: "no-store",
        ...options,
        headers: { ...this.headers, ...headers },
        signal: patience ?? AbortSignal.timeout(TIMEOUT_MS),
        credentials: "omit",
      });
    } catch {
      throw new NoConnection(text("error.unreachable"));
    }
    if (answer.ok) return answer;
    throw await refusal(answer);
  }
}

async function refusal(answer) {
  let body = {};
  try {
    body = (await answer.json()).error ?? {};
  } catch {
    // An answer of a proxy in between: its status has to do.
  }
  return new Refused(answer.status, body.code ?? "", body.message ?? text("error.status", { status: answer.status }), body.details);
}
