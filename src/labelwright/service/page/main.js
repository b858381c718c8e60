/* From the link to the desk: who is asking, which campaign, and then labeling. */

import { Api, NoConnection, Refused } from "./api.js";
import { Desk } from "./desk.js";
import { byId, element } from "./elements.js";
import { forget, openSession, remember } from "./session.js";

const session = openSession();
let desk = null;

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  remember({ key: byId("key-field").value.trim(), secret: byId("secret-field").value.trim() });
  byId("secret-field").value = "";
  enter({ ...openSession(), campaign: session.campaign });
});
// The same tab may be given another link.
addEventListener("hashchange", () => location.hash.length > 1 && location.reload());

if (session.key) enter(session);
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
      showDoor("This key is not known here, or not any more. Ask whoever sent you the link. Drafts on this device are kept.");
    } else if (error instanceof NoConnection) {
      showDoor("The server cannot be reached. Trying again …");
      setTimeout(() => enter({ key, secret, campaign }), 4000);
    } else showDoor(error.message);
  }
}

function showDoor(text) {
  desk?.close();
  desk = null;
  byId("desk").hidden = true;
  byId("choice").hidden = true;
  byId("key-form").hidden = false;
  byId("door").hidden = false;
  if (text) byId("door-text").textContent = text;
  byId("key-field").focus();
}

function showChoice(api, me, campaigns) {
  desk?.close();
  desk = null;
  byId("desk").hidden = true;
  byId("key-form").hidden = true;
  const rows = campaigns.map((campaign) => {
    const { done, total } = campaign.progress;
    const button = element("button", { type: "button" }, [
      element("span", { className: "name", text: campaign.title }),
      element("span", { className: "muted", text: `${done} of ${total}` }),
      element("span", { className: `chip ${campaign.status}`, text: campaign.status }),
    ]);
    button.addEventListener("click", () => openDesk(api, me, campaign));
    return element("li", {}, [button]);
  });
  if (!rows.length) rows.push(element("li", { className: "muted", text: "There is no campaign for you yet." }));
  byId("campaign-list").replaceChildren(...rows);
  byId("choice").hidden = false;
  byId("door").hidden = false;
  byId("campaign-list").querySelector("button")?.focus();
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
        desk?.say("The server cannot be reached.", "warn");
      }
    },
    locked: () => {
      forget();
      showDoor("Your key is not accepted any more. Ask for a new link; drafts on this device are kept.");
    },
  });
  desk.start();
}
