/* The sheets: a question, the search for a label. All are <dialog>s: the browser keeps the focus
   inside and gives it back. */

import { byId, element, swatch } from "./elements.js";
import { text } from "./texts.js";

export const anyOpen = () => document.querySelector("dialog[open]") !== null;

/** Resolves to the value of the chosen button, null when it was left with Escape. */
export function ask(heading, question, choices) {
  const dialog = byId("question");
  byId("question-heading").textContent = heading;
  byId("question-text").textContent = question;
  return new Promise((resolve) => {
    let answer = null;
    const buttons = choices.map(([value, label, primary]) => {
      const button = element("button", { text: label, type: "button", className: primary ? "primary" : "" });
      button.addEventListener("click", () => {
        answer = value;
        dialog.close();
      });
      return button;
    });
    byId("question-buttons").replaceChildren(...buttons);
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
  });
}

/** Resolves to the name of a label, or null. */
export function searchLabel(labels) {
  const dialog = byId("search");
  const field = byId("search-field");
  const list = byId("search-results");
  let found = [];
  let at = 0;

  return new Promise((resolve) => {
    let answer = null;
    const take = () => {
      answer = found[at] ?? null;
      if (answer !== null) dialog.close();
    };
    const paint = () => {
      list.replaceChildren(
        ...found.map((name, i) => {
          const known = labels.names.includes(name);
          const shown = labels.shown(name);
          const row = element("li", { role: "option", id: `result-${i}`, "aria-selected": i === at }, [
            swatch(labels.colour(name)),
            element("span", { text: known ? shown : text("label.new", { label: name }), className: "name" }),
          ]);
          const parents = labels.parents(name);
          if (parents.length) row.append(element("span", { text: text("label.in", { parent: parents.join(" › ") }), className: "muted" }));
          if (!field.value.trim() && labels.recent.includes(name)) row.append(element("span", { text: text("find.recent"), className: "muted" }));
          if (known) row.append(element("span", { text: String(labels.names.indexOf(name) + 1), className: "muted" }));
          if (known && shown !== name) row.append(element("span", { text: name, className: "muted" }));
          row.addEventListener("click", () => {
            at = i;
            take();
          });
          return row;
        }),
      );
      field.setAttribute("aria-activedescendant", found.length ? `result-${at}` : "");
      list.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
    };
    const look = () => {
      const typed = field.value.trim();
      found = labels.search(typed).slice(0, 200);
      if (labels.free && typed && typed.length <= 200 && !labels.names.includes(typed)) found.push(typed);
      at = 0;
      paint();
    };
    field.value = "";
    field.oninput = look;
    field.onkeydown = (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && found.length) {
        at = (at + step + found.length) % found.length;
        paint();
        event.preventDefault();
      } else if (event.key === "Enter") {
        event.preventDefault();
        take();
      }
    };
    look();
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
    field.focus();
  });
}
