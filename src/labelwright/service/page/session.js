/* The labeler's key: read from the link's fragment, kept for this tab, gone from the address bar before anything else
   happens, so that it is in no history, bookmark or screenshot. */

const NAME = "labelwright.key";

/** Returns {key, secret, campaign}; key and secret are null when nobody gave any. */
export function openSession() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  if (fragment.get("key") && fragment.get("secret")) {
    remember({ key: fragment.get("key"), secret: fragment.get("secret") });
  }
  const campaign = Number(fragment.get("campaign"));
  return { ...stored(), campaign: Number.isInteger(campaign) && campaign > 0 ? campaign : null };
}

export function remember(pair) {
  sessionStorage.setItem(NAME, JSON.stringify(pair));
}

export function forget() {
  sessionStorage.removeItem(NAME);
}

function stored() {
  try {
    const { key, secret } = JSON.parse(sessionStorage.getItem(NAME));
    return { key, secret };
  } catch {
    return { key: null, secret: null };
  }
}
