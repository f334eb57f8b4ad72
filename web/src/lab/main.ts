/** The lab's page for phones. */
import type { Accelerator } from "../engine/engine";
import { threadCount } from "../engine/engine";
import { fill, lab, strings } from "../strings";
import { fillWith, h } from "../ui/dom";
import { themeChooser } from "../ui/theme";
import * as api from "./api";
import { describe } from "./device";
import { measure } from "./measure";
import { forgetOthers, Outbox, Refusal } from "./outbox";

interface Kept { session: string; token: string }

const KEY = "lab-session";
const code = location.hash.slice(1);
const body = h("section", { class: "card wide" });
const progress = h("progress", { max: 1, value: 0, "aria-label": lab.title });
const step = h("p", { id: "step", role: "status", "aria-live": "polite" });
const waiting = h("p", { class: "note", hidden: true, id: "waiting" });
const lost = h("p", { class: "note", hidden: true, id: "lost", role: "status" }, lab.lost);
const rows = h("tbody");

function label(accelerator: Accelerator): string {
  if (accelerator === "wasm") return threadCount() > 1 ? fill(strings.cpuThreads, threadCount()) : strings.cpuOne;
  return accelerator === "webgpu" ? strings.webgpu : strings.webnn;
}

function failed(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  const text = error instanceof Refusal && error.status === 403 ? lab.wrongCode : fill(lab.failed, reason);
  body.append(h("p", { class: "note bad", role: "alert", id: "failed" }, text));
}

/**
 * The session this device is in the middle of, with the workbench's plan for it. The token outlives
 * a restart of the workbench; the code does not.
 */
async function resumed(): Promise<[Kept, api.Plan] | null> {
  const text = localStorage.getItem(KEY);
  if (!text) return null;
  const found = JSON.parse(text) as Kept;
  try {
    return [found, await api.patient(() => api.plan(found.token), gone)];
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    localStorage.removeItem(KEY);
    return null;
  }
}

function gone(away: boolean): void {
  lost.hidden = !away;
}

async function show(): Promise<void> {
  document.title = lab.title;
  document.getElementById("app")!.replaceChildren(
    h("div", { class: "notice" }, strings.notice),
    h("header", {}, h("img", { src: "icon.svg", alt: "" }),
      h("div", { class: "titles" }, h("h1", {}, lab.title)), themeChooser()),
    h("main", {}, lost, body));
  try {
    const place = await api.patient(api.place, gone);
    const before = await resumed();
    if (before) await begin(...before);
    else if (!self.isSecureContext && place.https) insecure(place);
    else await form(place);
  } catch (error) {
    failed(error);
  }
}

function insecure(place: api.Place): void {
  fillWith(body,
    h("h2", {}, lab.insecureHeading), h("p", {}, lab.insecure),
    place.fingerprint ? h("p", {}, fill(lab.fingerprint, place.fingerprint)) : null,
    h("p", {}, h("a", { href: "authority.crt", id: "certificate" }, lab.download)),
    h("ul", {}, h("li", {}, lab.android), h("li", {}, lab.ios), h("li", {}, lab.desktop)),
    h("div", { class: "row" },
      h("button", { class: "main", id: "secure", click: () => { location.href = `${place.https}/lab.html#${code}`; } }, lab.goSecure),
      h("button", { id: "plain", click: () => void form(place).catch(failed) }, lab.goPlain)));
}

async function form(place: api.Place): Promise<void> {
  const device = await describe();
  const name = h("input", { id: "name", value: device.name, maxlength: 60, autocomplete: "off" });
  const consent = h("input", { type: "checkbox", id: "consent" });
  const start = h("button", { class: "main", id: "start", click: () => {
    start.disabled = true;
    void join().catch((error) => { start.disabled = false; failed(error); });
  } }, lab.start);
  const join = async () => {
    const found = await api.join(code, { ...device, name: name.value.trim() || device.name }, consent.checked);
    localStorage.setItem(KEY, JSON.stringify(found));
    await forgetOthers(found.session);
    await begin(found, await api.patient(() => api.plan(found.token), gone));
  };
  fillWith(body, h("p", {}, lab.intro),
    self.isSecureContext ? null : h("p", { class: "note" }, lab.plainLabel),
    h("label", { for: "name" }, lab.nameLabel), name,
    h("ul", { class: "plain soft" }, ...device.accelerators.map((a) => h("li", {}, label(a)))),
    place.images > 0 ? h("label", { class: "check" }, consent, fill(lab.consent, place.images)) : h("p", { class: "soft" }, lab.consentNone),
    h("div", { class: "row" }, start));
}

async function begin({ session, token }: Kept, plan: api.Plan): Promise<void> {
  const away = (count: number) => {
    waiting.hidden = count === 0;
    waiting.textContent = fill(lab.waiting, count);
  };
  const outbox = new Outbox(session, (key, value) => api.upload(token, key, value), away);
  fillWith(body, h("p", {}, lab.intro), progress, step, waiting, h("table", {}, rows));
  let names = plan.finished;
  if (!names) {
    const lock = await (navigator as { wakeLock?: { request(t: "screen"): Promise<{ release(): Promise<void> }> } })
      .wakeLock?.request("screen").catch(() => undefined);
    const cells = new Map<string, HTMLTableCellElement>();
    await measure(token, plan, outbox, {
      step: (text, share) => { step.textContent = text; progress.value = share; },
      away: gone, label,
      cell: (variant, accelerator, ms, reason) => {
        const key = fill(lab.cellRow, variant, label(accelerator));
        let cell = cells.get(key);
        if (!cell) {
          cell = h("td", {});
          cells.set(key, cell);
          rows.append(h("tr", {}, h("th", { scope: "row" }, key), cell));
        }
        cell.textContent = ms === null ? fill(lab.unsupported, reason ?? "") : fill(lab.ms, ms.toFixed(1));
      },
    });
    step.textContent = lab.sending;
    await outbox.flush();
    names = await api.patient(() => api.finish(token), gone);
    await lock?.release();
  }
  waiting.hidden = true;
  progress.value = 1;
  step.textContent = "";
  body.append(h("p", { class: "verdict calm", id: "done" }, fill(lab.done, names.length)));
  localStorage.removeItem(KEY);
}

void show();
