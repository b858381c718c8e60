/* Sending labels, and everything that can come between: no network, a campaign that is over, somebody else's labels. */

import { NoConnection, Refused } from "./api.js";
import { ask } from "./dialogs.js";
import { byId, count } from "./elements.js";
import { DeskDescribing } from "./describing.js";
import { toObject } from "./shapes.js";
import { History } from "./undo.js";

export class DeskSubmitting extends DeskDescribing {
  async submit() {
    if (this.readOnly) return void this.refuse();
    if (this.gestures.drawing) return void this.say("Something is being drawn: close it, or press Escape.", "warn");
    if (!this.shapes.length && !this.state.nothing) {
      return void this.say("Nothing is drawn. If there is nothing to label here, press N, then Enter.", "warn");
    }
    if (!this.isComplete()) return;
    if (this.base.done && !this.dirty) return void this.openNextToDo();
    if (this.foreign) return void this.say("This image is also being labeled in another tab: choose above which to keep.", "warn");
    return this.reopened ? this.submitCorrections() : this.send();
  }

  /** Every image was done before: the next submission completes the campaign again. */
  get reopened() {
    const { status, progress } = this.campaign;
    return status === "active" && progress.total > 0 && progress.done === progress.total;
  }

  /** Corrections in a reopened campaign are collected as drafts and go together, or the first would shut out the rest. */
  async submitCorrections() {
    const others = [...this.draftIds].filter((imageId) => imageId !== this.imageId);
    const images = 1 + others.length;
    const answer = await ask(
      "Submitting completes the campaign again",
      `This campaign was reopened and every image in it is done. ${images > 1 ? `Your ${count(images, "draft")} are submitted together. ` : ""}After that nothing can be changed. Are you done with your corrections?`,
      [["on", "Go on correcting"], ["submit", images > 1 ? `Submit all ${images}` : "Submit", true]],
    );
    if (answer === "submit") await this.send(others);
    else if (answer === "on") this.say("Your draft is kept. Correct the other images, then submit once.");
  }

  /** This image and, all or none, the drafts of `others`. */
  async send(others = []) {
    const { imageId, state } = this;
    this.busy = true;
    this.render();
    let answer;
    try {
      const { campaign_id } = this.campaign;
      const objects = state.shapes.map(toObject);
      if (others.length) {
        const drafts = others.map((id) => [id, this.drafts.get(id)]).filter(([, draft]) => draft);
        const images = drafts.map(([image_id, { shapes, revision }]) => ({ image_id, revision, objects: shapes.map(toObject) }));
        images.push({ image_id: imageId, revision: this.base.revision, objects });
        const { campaign, revisions } = await this.api.submitAll(campaign_id, images);
        answer = { campaign, revision: revisions[imageId] };
        for (const id of others) {
          this.drafts.remove(id);
          this.draftIds.delete(id);
          this.records.delete(id);
        }
      } else answer = await this.api.submit(campaign_id, imageId, objects, this.base.revision);
    } catch (error) {
      this.busy = false;
      this.render();
      await this.notSubmitted(error);
      return;
    }
    this.busy = false;
    this.connected = true;
    this.base = { shapes: state.shapes, nothing: state.nothing, revision: answer.revision, done: true };
    this.drafts.remove(imageId);
    this.draftIds.delete(imageId);
    this.records.set(imageId, { ...this.records.get(imageId), objects: state.shapes.map(toObject), done: true, revision: answer.revision });
    this.images.find(({ image_id }) => image_id === imageId).done = true;
    this.campaign = answer.campaign;
    this.showCampaign();
    this.render();
    if (this.campaign.status === "active") this.openNextToDo();
    else this.say("That was the last one: the campaign is complete. Thank you.", "good");
  }

  async notSubmitted(error) {
    if (this.refusedForGood(error)) return;
    if (error instanceof NoConnection) {
      this.connected = false;
      this.render();
      this.say(`Not submitted: the server cannot be reached. ${this.kept ? "Your draft is kept on this device; " : ""}press Enter again later.`, "bad");
    } else if (error instanceof Refused && error.status === 412 && error.details?.image_id !== this.imageId) {
      this.say("Not submitted: one of your drafts is older than what is stored. Look at it first.", "bad");
      await this.open(error.details.image_id);
    } else if (error instanceof Refused && error.status === 412) await this.askAboutStaleWrite();
    else if (error instanceof Refused && error.status === 422 && error.details?.faults) {
      const { image_id, count: faults } = error.details;
      const more = faults > 1 ? ` (and ${count(faults - 1, "more fault")})` : "";
      if (image_id !== this.imageId && this.draftIds.has(image_id)) await this.open(image_id);
      this.say(`Not submitted: ${error.message}${more}.`, "bad");
    }
    else {
      if (error instanceof Refused && error.status === 409) await this.look();
      this.say(`Not submitted: ${error.message}.`, "bad");
    }
  }

  async askAboutStaleWrite() {
    let record;
    try {
      record = await this.api.image(this.campaign.campaign_id, this.imageId);
    } catch {
      this.say("Not submitted: this image was changed elsewhere, and the server cannot be reached now.", "bad");
      return;
    }
    const mine = count(this.shapes.length, "shape");
    const answer = await ask(
      "Not submitted: this image was changed elsewhere",
      `Since you opened it, it was submitted from another tab or device. Stored now: ${count(record.objects.length, "shape")}. Here: ${mine}. Nothing was overwritten.`,
      [["later", "Decide later"], ["stored", "Show the stored ones"], ["mine", "Overwrite with mine"]],
    );
    if (answer === "stored") {
      this.drafts.remove(this.imageId);
      this.draftIds.delete(this.imageId);
      await this.open(this.imageId);
    } else if (answer === "mine") {
      this.base = { ...this.base, revision: record.revision };
      await this.send();
    }
  }

  refusedForGood(error) {
    if (error instanceof Refused && error.status === 401) {
      this.close();
      this.door.locked();
      return true;
    }
    return false;
  }

  /** At the campaign: it may have been completed, reopened, or finished meanwhile. */
  async look() {
    let campaign;
    try {
      campaign = await this.api.campaign(this.campaign.campaign_id);
      this.connected = true;
    } catch (error) {
      if (this.refusedForGood(error)) return;
      this.connected = !(error instanceof NoConnection);
      this.showSaved();
      return;
    }
    if (!this.isOpen) return;
    if (!byId("retry-button").hidden) return void this.open(this.imageId);
    if (this.busy) return;
    const before = this.campaign.status;
    const grown = campaign.progress.total !== this.campaign.progress.total;
    this.campaign = campaign;
    this.showCampaign();
    if (before !== campaign.status) {
      this.gestures.cancel();
      this.render();
      this.notices.live(`The campaign is now ${campaign.status}.`);
    } else this.showSaved();
    if (grown) this.images = await this.api.images(campaign.campaign_id).catch(() => this.images);
  }

  // --- another tab

  elsewhere(imageId, draft) {
    if (draft) this.draftIds.add(imageId);
    else this.draftIds.delete(imageId);
    if (imageId !== this.imageId || !this.loaded || this.foreign || this.busy) return;
    if (!draft) {
      // Submitted or taken back over there. What was here was there too: nothing is lost.
      this.drafts.remove(imageId);
      this.open(imageId);
    } else if (this.drafts.follows(imageId, draft)) {
      this.drafts.saw(imageId, draft);
      this.history = new History({ shapes: draft.shapes, nothing: draft.nothing });
      if (!this.selected) this.selectedId = null;
      this.corner = null;
      this.render();
      this.say("This image is being labeled in another tab: its draft is shown.");
    } else this.askWhichTab();
  }

  askWhichTab() {
    this.foreign = true;
    this.notices.banner("This image is also being labeled in another tab. What you draw here is not saved until you choose.", [
      ["Show the other tab's", () => this.open(this.imageId)],
      ["Keep mine", () => this.keepMine()],
    ]);
    this.render();
  }

  keepMine() {
    this.foreign = false;
    this.notices.banner(null);
    this.showCampaign();
    this.keep({ force: true });
    this.render();
  }
}
