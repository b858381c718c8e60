/* What the page has to say: a toast for a moment, a banner that stays, and the live region for screen readers. */

import { byId, element } from "./elements.js";

const SHOWN_MS = 5000;

export class Notices {
  toast(text, kind = "") {
    const toast = byId("toast");
    toast.textContent = text;
    toast.className = `toast ${kind}`;
    toast.hidden = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (toast.hidden = true), SHOWN_MS);
    this.live(text);
  }

  /** Said by screen readers; the same words twice are said twice. */
  live(text) {
    const region = byId("live");
    region.textContent = region.textContent === text ? `${text}\u00a0` : text;
  }

  /** `buttons`: [[text, action], ...]; null takes the banner away. */
  banner(text, buttons = [], kind = "") {
    const banner = byId("banner");
    banner.hidden = text === null;
    banner.className = `banner ${kind}`;
    if (text !== null && byId("banner-text").textContent !== text) this.live(text);
    byId("banner-text").textContent = text ?? "";
    byId("banner-buttons").replaceChildren(
      ...buttons.map(([label, action]) => {
        const button = element("button", { text: label, type: "button" });
        button.addEventListener("click", action);
        return button;
      }),
    );
  }

  clear() {
    byId("toast").hidden = true;
    this.banner(null);
  }
}
