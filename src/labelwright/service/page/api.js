/* The service's API, relative to the page, so that it also works below a path of a reverse proxy. */

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

  /** All images of a campaign: [{image_id, url, done, reopened?}]. */
  images(campaignId) {
    return this.everything(`campaigns/${campaignId}/images`, "images");
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

  /** {image_id, name, width, height, done, objects, revision, reopened} */
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

  /** The picture itself. The API answers with a redirect to a signed URL of the same host, which fetch follows. */
  async picture(campaignId, imageId, signal) {
    const answer = await this.fetch(`labeling/campaigns/${campaignId}/images/${imageId}/picture`, { signal });
    return answer.blob();
  }

  async json(path, options) {
    const answer = await this.fetch(path, options);
    return answer.json();
  }

  async fetch(path, { headers, signal, ...options } = {}) {
    const deadline = AbortSignal.timeout(TIMEOUT_MS);
    let answer;
    try {
      answer = await fetch(new URL(path, this.base), {
        ...options,
        headers: { ...this.headers, ...headers },
        signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
        cache: "no-store",
        credentials: "omit",
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new NoConnection("The server cannot be reached.");
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
  return new Refused(answer.status, body.code ?? "", body.message ?? `The server answered ${answer.status}.`, body.details);
}
