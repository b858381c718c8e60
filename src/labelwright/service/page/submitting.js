/* Sending labels, and everything that can come between: no network, a campaign that is over, somebody else's labels. */

import { NoConnection, Refused } from "./api.js";
import { ask } from "./dialogs.js";
import { stateOf } from "./drafts.js";
import { byId } from "./elements.js";
import { shownKey } from "./keymap.js";
import { shapeCount, toObject } from "./shapes.js";
import { DeskSuggesting } from "./suggestions.js";
import { text } from "./texts.js";
import { History } from "./undo.js";

export class DeskSubmitting extends DeskSuggesting {
  async submit() {
    if (this.readOnly) return void this.refuse();
    if (this.gestures.drawing) return void this.say(text("submit.drawing"), "warn");
    if (this.base.skipped !== null && !this.dirty) return void this.openNextToDo();
    if (this.asksAboutSuggestions()) return;
    if (!this.shapes.length && !this.state.nothing) {
      return void this.say(text("submit.empty", { key: shownKey("empty") }), "warn");
    }
    if (!this.isComplete()) return;
    if (this.base.done && !this.dirty) return void this.openNextToDo();
    if (this.foreign) return void this.say(text("submit.two_tabs"), "warn");
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
      text("submit.again"),
      images > 1 ? text("submit.again_many", { count: images }) : text("submit.again_one"),
      [["on", text("submit.go_on")], ["submit", images > 1 ? text("submit.all", { count: images }) : text("submit.button"), true]],
    );
    if (answer === "submit") await this.send(others);
    else if (answer === "on") this.say(text("submit.kept"));
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
    this.stored(imageId, { ...state, skipped: null }, answer);
  }

  /** The server has stored an image: on to the next one. */
  stored(imageId, { shapes, nothing, decided, skipped }, { campaign, revision }) {
    this.busy = false;
    this.connected = true;
    if (skipped !== null) {
      this.history = new History({ shapes, nothing, decided: [] });
      this.selectedId = null;
    }
    this.suggestions = [];
    this.base = { shapes, nothing, decided: decided ?? [], revision, done: true, reopened: null, skipped };
    this.drafts.remove(imageId);
    this.draftIds.delete(imageId);
    const record = { ...this.records.get(imageId), objects: shapes.map(toObject), done: true, revision, reopened: null, skipped, predictions: [] };
    this.records.set(imageId, record);
    const image = this.images.find(({ image_id }) => image_id === imageId);
    image.done = true;
    delete image.reopened;
    if (skipped === null) delete image.skipped;
    else image.skipped = skipped;
    this.campaign = campaign;
    this.showCampaign();
    this.render();
    if (this.campaign.status === "active") this.openNextToDo();
    else this.say(text("campaign.thanks"), "good");
  }

  async notSubmitted(error) {
    if (this.refusedForGood(error)) return;
    if (error instanceof NoConnection) {
      this.connected = false;
      this.render();
      this.say(text(this.kept ? "submit.unreachable_kept" : "submit.unreachable"), "bad");
    } else if (error instanceof Refused && error.status === 412 && error.details?.image_id !== this.imageId) {
      this.say(text("submit.old_draft"), "bad");
      await this.open(error.details.image_id);
    } else if (error instanceof Refused && error.status === 412) await this.askAboutStaleWrite();
    else if (error instanceof Refused && error.status === 422 && error.details?.faults) {
      const { image_id, count: faults } = error.details;
      if (image_id !== this.imageId && this.draftIds.has(image_id)) await this.open(image_id);
      this.say(faults > 1 ? text("submit.refused_more", { message: error.message, count: faults - 1 }) : text("submit.refused", error), "bad");
    }
    else {
      if (error instanceof Refused && error.status === 409) await this.look();
      this.say(text("submit.refused", error), "bad");
    }
  }

  async askAboutStaleWrite() {
    let record;
    try {
      record = await this.api.image(this.campaign.campaign_id, this.imageId);
    } catch {
      this.say(text("submit.changed_unreachable"), "bad");
      return;
    }
    const answer = await ask(
      text("submit.changed"),
      text("submit.changed_text", { stored: shapeCount(record.objects), mine: shapeCount(this.shapes) }),
      [["later", text("submit.later")], ["stored", text("draft.show_stored")], ["mine", text("submit.overwrite")]],
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
    const { done, total } = this.campaign.progress;
    const relisted = campaign.progress.total !== total || campaign.progress.done < done;
    this.campaign = campaign;
    this.showCampaign();
    if (before !== campaign.status) {
      this.gestures.cancel();
      this.render();
      this.notices.live(text("campaign.now", { status: text(`status.${campaign.status}`) }));
    } else this.showSaved();
    if (relisted) await this.relist();
  }

  /** Images were added, or given back to the labeler. */
  async relist() {
    this.records.clear();
    this.images = await this.api.images(this.campaign.campaign_id).catch(() => this.images);
    const current = this.images[this.position];
    if (!current || current.done || !this.base.done) return;
    this.base = { ...this.base, done: false, reopened: current.reopened ?? null };
    this.showCampaign();
    this.showSaved();
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
      this.history = new History(stateOf(draft));
      if (!this.selected) this.selectedId = null;
      this.corner = null;
      this.render();
      this.say(text("draft.other_tab"));
    } else this.askWhichTab();
  }

  askWhichTab() {
    this.foreign = true;
    this.showTwoTabs();
    this.render();
  }

  showTwoTabs() {
    this.notices.banner(text("draft.two_tabs"), [
      [text("draft.show_other"), () => this.open(this.imageId)],
      [text("draft.keep_this"), () => this.keepMine()],
    ]);
  }

  keepMine() {
    this.foreign = false;
    this.notices.banner(null);
    this.showCampaign();
    this.keep({ force: true });
    this.render();
  }
}
