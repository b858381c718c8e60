/* Building the page. Text that came from anywhere else is only ever set as textContent. */

export const byId = (id) => document.getElementById(id);

export function element(name, { text, className, ...attributes } = {}, children = []) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(attribute, String(value));
  }
  made.append(...children);
  return made;
}

export function swatch(colour) {
  const made = element("span", { className: "swatch", "aria-hidden": "true" });
  made.style.setProperty("--label", colour);
  return made;
}
