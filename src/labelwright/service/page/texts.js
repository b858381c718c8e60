/* The page's texts, in the labeler's language. `texts/<language>.json` holds them by key. A text may have placeholders,
   `{name}`; one that depends on a number is an object of plural forms, chosen by `count`. What a language lacks is shown
   in English. */

/** The languages of the page, by their own names. */
export const LANGUAGES = { en: "English", de: "Deutsch", es: "Español", fr: "Français", nl: "Nederlands", pl: "Polski" };

const NAME = "labelwright.language";
const ATTRIBUTES = { text: null, title: "title", label: "aria-label", placeholder: "placeholder" };

let texts = {};
let current = "en";
let plurals = new Intl.PluralRules(current);

/** The language that the labeler chose, or null: the browser's then. */
export function chosenLanguage() {
  try {
    const chosen = localStorage.getItem(NAME);
    return Object.hasOwn(LANGUAGES, chosen ?? "") ? chosen : null;
  } catch {
    return null;
  }
}

/** `code` null: the browser's again. */
export async function chooseLanguage(code) {
  try {
    if (code === null) localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, code);
  } catch {
    // The choice holds until the page is left.
  }
  await loadTexts(code ?? browserLanguage());
}

/** All languages that the labeler reads, the best first: for names that come in several. */
export function languages() {
  const chosen = chosenLanguage();
  return chosen ? [chosen, ...navigator.languages] : navigator.languages;
}

export const language = () => current;

function browserLanguage() {
  return navigator.languages.map((one) => one.toLowerCase().split("-")[0]).find((one) => Object.hasOwn(LANGUAGES, one)) ?? "en";
}

/** Fetches the texts, and puts them into the document. Before that `text` returns keys. */
export async function loadTexts(code = chosenLanguage() ?? browserLanguage()) {
  const [english, own] = await Promise.all([fetched("en"), code === "en" ? {} : fetched(code).catch(() => null)]);
  current = own === null ? "en" : code;
  texts = { ...english, ...own };
  plurals = new Intl.PluralRules(current);
  document.documentElement.lang = current;
  fillIn(document);
}

async function fetched(code) {
  const answer = await fetch(new URL(`texts/${code}.json`, import.meta.url), { cache: "no-cache", credentials: "omit" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

export function text(key, values = {}) {
  const found = texts[key] ?? key;
  const form = typeof found === "string" ? found : (found[plurals.select(values.count)] ?? found.other);
  return form.replace(/\{(\w+)\}/g, (placeholder, name) => (name in values ? String(values[name]) : placeholder));
}

/** Elements with `data-text="key"`; `data-title`, `data-label` and `data-placeholder` set attributes. `[Enter]` in a text is a
    key of the keyboard. */
export function fillIn(root) {
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    for (const element of root.querySelectorAll(`[data-${name}]`)) {
      const found = text(element.dataset[name]);
      if (attribute) element.setAttribute(attribute, found);
      else element.replaceChildren(...found.split(/(\[[^\]]+\])/).map(keyOrText));
    }
  }
}

function keyOrText(part) {
  if (!part.startsWith("[")) return part;
  const key = document.createElement("kbd");
  key.textContent = part.slice(1, -1);
  return key;
}
