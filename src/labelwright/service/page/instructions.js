/* The requester's instructions: text, with links and pictures. Only this is more than text:

     https://example.org/guide             a link
     [the guide](https://example.org/)     a link with a text
     ![a torn sail](image:0012.jpg)        the image of that name in this campaign
     ![a torn sail](data:image/png;base64,...)

   Nodes are made one by one; nothing is read as markup. Pictures of other hosts become links: labelers decide whether
   they ask another host for something, and the Content-Security-Policy stays as it is. */

import { byId, element } from "./elements.js";
import { text } from "./texts.js";

const PARTS = /!\[([^\]\n]*)\]\(([^)\s]+)\)|\[([^\]\n]+)\]\((https?:\/\/[^)\s]+)\)|(https?:\/\/[^\s<>"]+)/g;
const DATA = /^data:(image\/(?:png|jpeg|gif|webp));base64,([A-Za-z0-9+/=]+)$/;

let urls = []; // of pictures that are shown

/** `pictureOf(name)` gives a promise of a Blob, or null when the campaign has no image of that name. */
export function openInstructions(written, pictureOf) {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
  byId("instructions-text").replaceChildren(...nodes(written?.trim() || text("instructions.none"), pictureOf));
  byId("instructions").showModal();
}

function nodes(written, pictureOf) {
  const made = [];
  let from = 0;
  for (const match of written.matchAll(PARTS)) {
    const [whole, alt, source, title, target, address] = match;
    let taken = whole;
    let node;
    if (source !== undefined) node = picture(alt, source, pictureOf);
    else if (target) node = link(target, title);
    else {
      // The full stop after an address ends the sentence.
      taken = address.replace(/[.,;:!?)\]}'”»]+$/, "");
      node = link(taken, taken);
    }
    if (!node) continue;
    made.push(written.slice(from, match.index), node);
    from = match.index + taken.length;
  }
  made.push(written.slice(from));
  return made.filter((node) => node !== "");
}

/** null when it is no address that can be followed. */
function link(address, title) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  return element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", text: title });
}

function picture(alt, source, pictureOf) {
  if (/^https?:/.test(source)) return link(source, alt || source);
  const inside = DATA.exec(source);
  const blob = inside ? decoded(inside[1], inside[2]) : source.startsWith("image:") ? pictureOf(nameIn(source)) : null;
  if (!blob) return null;
  const image = element("img", { alt });
  blob
    .then((data) => {
      const url = URL.createObjectURL(data);
      urls.push(url);
      image.src = url;
    })
    .catch(() => image.replaceWith(`[${alt || text("instructions.noPicture")}]`));
  return image;
}

function nameIn(source) {
  const name = source.slice("image:".length);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function decoded(type, base64) {
  try {
    return Promise.resolve(new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], { type }));
  } catch {
    return null;
  }
}
