/* Two lines through the cursor over the whole view, while something can be drawn there. */

import { byId, element } from "./elements.js";

const KEPT = "labelwright.crosshair";

let on = read();

const lines = element("div", { className: "crosshair", "aria-hidden": "true" }, [element("i", { className: "across" }), element("i", { className: "down" })]);
const view = byId("view");
lines.hidden = true;
byId("cover").before(lines);

/** Whether there are lines now. */
export function toggleCrosshair() {
  on = !on;
  if (!on) lines.hidden = true;
  try {
    localStorage.setItem(KEPT, on ? "on" : "off");
  } catch {
    // It holds until the page is closed.
  }
  return on;
}

view.addEventListener("pointermove", (event) => {
  const { clientX, clientY, pointerType } = event;
  const wanted = on && pointerType !== "touch" && !view.matches(".pan, .readonly, .panning");
  lines.hidden = !wanted;
  if (!wanted) return;
  const { left, top } = view.getBoundingClientRect();
  lines.style.setProperty("--x", `${clientX - left}px`);
  lines.style.setProperty("--y", `${clientY - top}px`);
}, true);
view.addEventListener("pointerleave", () => (lines.hidden = true));

function read() {
  try {
    return localStorage.getItem(KEPT) !== "off";
  } catch {
    return true;
  }
}
