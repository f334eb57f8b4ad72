/** The workbench's page: its list of devices follows along, without loading the page again. */
const EVERY_MS = 3000;

async function follow(): Promise<void> {
  const list = document.getElementById("device-list");
  if (!list) return;
  const text = await (await fetch(location.href, { cache: "no-store" })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("device-list");
  if (fresh && fresh.innerHTML !== list.innerHTML) list.replaceChildren(...fresh.childNodes);
}

setInterval(() => void follow().catch(() => {}), EVERY_MS);

export {};
