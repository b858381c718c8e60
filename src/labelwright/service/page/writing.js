/* Something the labeler writes: a note to the requester, a reason. */

import { byId, element } from "./elements.js";

/** Resolves to the text, or null. Enter sends, Shift+Enter begins a line. `ready`: texts that can be taken as they are;
    `about`: the text of a check box, or null. Then it resolves to {text, about}. */
export function write({ heading, hint, send, ready = [], about = null }) {
  const dialog = byId("writing");
  const field = byId("writing-text");
  const check = byId("writing-about");
  byId("writing-heading").textContent = heading;
  byId("writing-hint").textContent = hint;
  byId("writing-send").textContent = send;
  byId("writing-about-part").hidden = about === null;
  byId("writing-about-text").textContent = about ?? "";
  check.checked = about !== null;
  field.value = "";
  return new Promise((resolve) => {
    let answer = null;
    const done = () => {
      const text = field.value.trim();
      if (!text) return void field.focus();
      answer = { text, about: check.checked };
      dialog.close();
    };
    const buttons = ready.map((text) => {
      const button = element("button", { text, type: "button", className: "small" });
      button.addEventListener("click", () => {
        field.value = text;
        done();
      });
      return button;
    });
    byId("writing-ready").replaceChildren(...buttons);
    byId("writing-send").onclick = done;
    byId("writing-cancel").onclick = () => dialog.close();
    field.onkeydown = (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      done();
    };
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
    field.focus();
  });
}
