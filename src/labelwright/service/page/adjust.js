/* Brightness, contrast and inversion of the picture as it is shown. They hold for all images until the page is closed; the
   picture itself is never changed. */

import { byId } from "./elements.js";

const NEUTRAL = { brightness: 100, contrast: 100, invert: false };

let values = { ...NEUTRAL };

const panel = byId("adjust");
const ranges = { brightness: byId("adjust-brightness"), contrast: byId("adjust-contrast") };
const invert = byId("adjust-invert");
let leave = () => {};

for (const [name, range] of Object.entries(ranges)) {
  range.addEventListener("input", () => apply({ [name]: Number(range.value) }));
  range.addEventListener("dblclick", () => apply({ [name]: 100 }));
}
invert.addEventListener("change", () => apply({ invert: invert.checked }));
byId("adjust-reset").addEventListener("click", () => apply(NEUTRAL));
byId("adjust-close").addEventListener("click", () => close());
panel.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" && event.key !== "Enter") return;
  if (event.key === "Enter" && event.target.matches("button")) return;
  event.preventDefault();
  event.stopPropagation();
  close();
});

/** `back()` is called when the panel is closed. */
export function toggleAdjust(back) {
  leave = back;
  if (!panel.hidden) return close();
  panel.hidden = false;
  byId("adjust-button").setAttribute("aria-expanded", "true");
  ranges.brightness.focus();
  return undefined;
}

function close() {
  panel.hidden = true;
  byId("adjust-button").setAttribute("aria-expanded", "false");
  leave();
}

function apply(change) {
  values = { ...values, ...change };
  const { brightness, contrast } = values;
  ranges.brightness.value = brightness;
  ranges.contrast.value = contrast;
  invert.checked = values.invert;
  byId("adjust-brightness-value").textContent = `${brightness} %`;
  byId("adjust-contrast-value").textContent = `${contrast} %`;
  const neutral = brightness === 100 && contrast === 100 && !values.invert;
  const filter = neutral ? "none" : `${values.invert ? "invert(1) " : ""}brightness(${brightness / 100}) contrast(${contrast / 100})`;
  byId("stage").style.setProperty("--adjust", filter);
  byId("adjust-button").setAttribute("aria-pressed", String(!neutral));
}
