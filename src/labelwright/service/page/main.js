/* From the link to the desk: who is asking, which campaign, and then labeling. */

import { Api, NoConnection, Refused } from "./api.js";
import { Desk } from "./desk.js";
import { byId, element } from "./elements.js";
import { forget, openSession, remember } from "./session.js";
import { bindSettings, showAppearance } from "./settings.js";
import { loadTexts, text } from "./texts.js";

const session = openSession();
let desk = null;
let showCampaigns = null; // the list of campaigns, in the language of the moment

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  remember({ key: byId("key-field").value.trim(), secret: byId("secret-field").value.trim() });
  byId("secret-field").value = "";
  enter({ ...openSession(), campaign: session.campaign });
});
// The same tab may be given another link.
addEventListener("hashchange", () => location.hash.length > 1 && location.reload());

showAppearance();
bindSettings(() => {
  desk?.retell();
  if (!byId("choice").hidden) showCampaigns();
});
if (!(await loadTexts().then(() => true, () => false))) document.body.append("The page could not be loaded. Reload it.");
else if (session.key) enter(session);
else showDoor();

async function enter({ key, secret, campaign }) {
  const api = new Api({ key, secret });
  byId("door").hidden = true;
  try {
    const { me, campaigns } = await api.campaigns();
    const named = campaigns.find((one) => one.campaign_id === campaign);
    const active = campaigns.filter((one) => one.status === "active");
    const only = campaigns.length === 1 ? campaigns[0] : active.length === 1 ? active[0] : null;
    if (named ?? only) openDesk(api, me, named ?? only);
    else showChoice(api, me, campaigns);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      forget();
      showDoor("door.unknown_key");
    } else if (error instanceof NoConnection) {
      showDoor("door.unreachable");
      setTimeout(() => enter({ key, secret, campaign }), 4000);
    } else showDoor(null, error.message);
  }
}

/** With a text, or with a message that the service wrote. */
function showDoor(key = "door.open", message = text(key)) {
  desk?.close();
  desk = null;
  byId("desk").hidden = true;
  byId("choice").hidden = true;
  byId("key-form").hidden = false;
  byId("door").hidden = false;
  const words = byId("door-text");
  if (key) words.dataset.text = key;
  else delete words.dataset.text;
  words.textContent = message;
  byId("key-field").focus();
}

function showChoice(api, me, campaigns) {
  desk?.close();
  desk = null;
  byId("desk").hidden = true;
  byId("key-form").hidden = true;
  showCampaigns = () => fillCampaigns(api, me, campaigns);
  showCampaigns();
  byId("choice").hidden = false;
  byId("door").hidden = false;
  byId("campaign-list").querySelector("button")?.focus();
}

function fillCampaigns(api, me, campaigns) {
  const rows = campaigns.map((campaign) => {
    const { done, total } = campaign.progress;
    const button = element("button", { type: "button" }, [
      element("span", { className: "name", text: campaign.title }),
      element("span", { className: "muted", text: text("campaign.progress", { done, total }) }),
      element("span", { className: `chip ${campaign.status}`, text: text(`status.${campaign.status}`) }),
    ]);
    button.addEventListener("click", () => openDesk(api, me, campaign));
    return element("li", {}, [button]);
  });
  if (!rows.length) rows.push(element("li", { className: "muted", text: text("door.no_campaigns") }));
  byId("campaign-list").replaceChildren(...rows);
}

function openDesk(api, me, campaign) {
  byId("door").hidden = true;
  byId("desk").hidden = false;
  desk?.close();
  desk = new Desk(api, me, campaign, {
    choose: async () => {
      try {
        const answer = await api.campaigns();
        showChoice(api, answer.me, answer.campaigns);
      } catch {
        desk?.say(text("error.unreachable"), "warn");
      }
    },
    locked: () => {
      forget();
      showDoor("door.key_refused");
    },
  });
  desk.start();
}
