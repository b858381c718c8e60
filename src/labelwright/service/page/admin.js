/* The admin's overview: looks, and changes nothing. */

import { Api, Refused } from "./api.js";
import { byId, element } from "./elements.js";
import { forget, openSession, remember } from "./session.js";
import { bindSettings, showAppearance } from "./settings.js";
import { loadTexts, text } from "./texts.js";

const session = openSession();

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  remember({ key: byId("key-field").value.trim(), secret: byId("secret-field").value.trim() });
  location.reload();
});
byId("again").addEventListener("click", () => show());
byId("leave").addEventListener("click", () => {
  forget();
  location.reload();
});
showAppearance();
bindSettings(() => !byId("overview").hidden && show());
await loadTexts();
if (session.key) show();

async function show() {
  const api = new Api(session);
  byId("trouble").textContent = "";
  try {
    const { me } = await api.campaigns();
    if (me.role !== "admin") throw new Refused(403, "", text("admin.not_admin"));
    const [campaigns, sets] = await Promise.all([api.everything("labeling/campaigns", "campaigns"), api.everything("image_sets", "image_sets")]);
    byId("who").textContent = me.email;
    fill("campaigns", campaigns.map(campaignRow), text("admin.no_campaigns"));
    fill("image-sets", sets.map(setRow), text("admin.no_image_sets"));
    byId("door").hidden = true;
    byId("overview").hidden = false;
  } catch (error) {
    if (error instanceof Refused && [401, 403].includes(error.status)) {
      forget();
      byId("overview").hidden = true;
      byId("door").hidden = false;
      byId("door-message").textContent = error.status === 401 ? text("admin.unknown_key") : error.message;
    } else if (byId("overview").hidden) byId("door-message").textContent = error.message;
    else byId("trouble").textContent = error.message;
  }
}

function fill(id, rows, none) {
  byId(id).replaceChildren(...(rows.length ? rows : [element("tr", {}, [element("td", { text: none, colspan: 7, className: "muted" })])]));
}

const cell = (text) => element("td", { text: text ?? "" });
const chip = (status) => element("td", {}, [element("span", { className: `chip ${status}`, text: text(`status.${status}`) })]);
const day = (text) => cell(text ? text.slice(0, 16).replace("T", " ") : "");

function campaignRow({ campaign_id, title, status, progress, labeler, date_created }) {
  const bar = element("progress", { max: Math.max(1, progress.total), value: progress.done, "aria-label": text("campaign.images_done") });
  const link = element("a", { href: `label#campaign=${campaign_id}`, text: `label#campaign=${campaign_id}` });
  const done = element("td", {}, [bar, document.createTextNode(text("campaign.progress", progress))]);
  return element("tr", {}, [cell(campaign_id), cell(title), chip(status), done, cell(labeler), day(date_created), element("td", {}, [link])]);
}

function setRow({ imageset_id, title, status, date_created, date_finished, created_by }) {
  return element("tr", {}, [cell(imageset_id), cell(title), chip(status), day(date_created), day(date_finished), cell(created_by)]);
}
