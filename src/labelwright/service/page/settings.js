/* Language and appearance: what the browser says, or what the labeler chose, which is kept on this device. */

import { byId, element } from "./elements.js";
import { chooseLanguage, chosenLanguage, LANGUAGES } from "./texts.js";

const NAME = "labelwright.appearance";

/** Shows the page as it was chosen, light or dark; without a choice label.css follows the browser. */
export function showAppearance() {
  let chosen = null;
  try {
    chosen = localStorage.getItem(NAME);
  } catch {
    // No storage, no choice.
  }
  document.documentElement.dataset.appearance = ["light", "dark"].includes(chosen) ? chosen : "automatic";
}

function chooseAppearance(chosen) {
  try {
    if (chosen === "automatic") localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, chosen);
  } catch {
    // The choice holds until the page is left.
  }
  document.documentElement.dataset.appearance = chosen;
}

/** `onLanguage` is called when the texts are there in another language. */
export function bindSettings(onLanguage) {
  const names = Object.entries(LANGUAGES).map(([code, name]) => element("option", { value: code, lang: code, text: name }));
  byId("language").append(...names);
  byId("language").addEventListener("change", ({ target }) => {
    // Without the network the page goes on in the language that it has.
    chooseLanguage(target.value || null).then(onLanguage, () => {});
  });
  byId("appearance").addEventListener("change", ({ target }) => chooseAppearance(target.value));
  for (const button of document.querySelectorAll(".settings-button")) button.addEventListener("click", openSettings);
}

function openSettings() {
  byId("language").value = chosenLanguage() ?? "";
  byId("appearance").value = document.documentElement.dataset.appearance;
  byId("settings").showModal();
}
