/** The app. */
import { type Bundle, openBundle } from "./bundle/bundle";
import { checkZipSize } from "./bundle/zip";
import { type Accelerator, flavourFor, threadCount } from "./engine/engine";
import { filesOf, kitOf } from "./engine/kit";
import { Fault, inWords } from "./fault";
import { decode } from "./image/decode";
import { paintMap, paintPixels } from "./image/overlay";
import type { Pixels } from "./image/pixels";
import { Model, type Outcome } from "./model";
import { fetchFile, installWorker, keep } from "./offline";
import { forgetBundle, keepBundle, keptBundles } from "./store";
import { fill, strings } from "./strings";
import { Turns } from "./turns";
import { closeCamera, openCamera } from "./ui/camera";
import { fillWith, h } from "./ui/dom";
import { HistoryView } from "./ui/history";
import { resultView } from "./ui/result";
import { themeChooser } from "./ui/theme";

/** A picture chosen later replaces one still being decoded; a new picture or model, a run under way. */
const choices = new Turns(), answers = new Turns();

interface Config { bundles: string[]; trust: string[] }

const shown = {
  models: new Map<string, Bundle>(), added: new Set<string>(),
  model: undefined as Model | undefined,
  pixels: undefined as Pixels | undefined, name: "", outcome: undefined as Outcome | undefined,
  trust: [] as string[],
};

// ------------------------------------------------------------------ the page's parts

const live = h("p", { class: "sr", role: "status", "aria-live": "polite", id: "live" });
const say = (text: string) => { live.textContent = text; };
const fileInput = h("input", { type: "file", accept: "image/png,image/jpeg,image/bmp,image/webp", id: "file", class: "sr", tabindex: "-1", "aria-label": strings.choose, change: () => {
  const file = fileInput.files?.[0];
  fileInput.value = "";
  if (file) void answerFile(file);
} });
const bundleInput = h("input", { type: "file", accept: ".zip", id: "bundle-file", class: "sr", tabindex: "-1", "aria-label": strings.addModel, change: () => {
  const file = bundleInput.files?.[0];
  bundleInput.value = "";
  if (file) void addFile(file);
} });
const chooseButton = h("button", { class: "main", id: "choose", click: () => fileInput.click() }, strings.choose);
const cameraButton = h("button", { id: "camera", click: () => void useCamera() }, strings.camera);
const drop = h("div", { class: "drop" }, h("p", {}, strings.drop));
const camera = h("div");
const picture = h("canvas", { role: "img", "aria-label": strings.imageAlt });
const map = h("canvas", { class: "map", "aria-hidden": "true" });
const stage = h("div", { class: "stage", hidden: true }, h("div", { class: "picture" }, picture, map));
const slider = h("input", { type: "range", min: 0, max: 100, value: 45, id: "overlay", "aria-describedby": "overlay-note", input: () => { map.style.opacity = String(Number(slider.value) / 100); } });
const overlayNote = h("small", { id: "overlay-note" });
const overlay = h("div", { hidden: true }, h("label", { for: "overlay" }, strings.overlay), slider, overlayNote);
const result = h("div", { id: "result", "aria-live": "polite" }, h("p", { class: "soft" }, strings.resultNone));
const took = h("small", { id: "took" });
const chooser = h("select", { id: "model", "aria-label": strings.modelHeading, change: () => { fillWith(problems); void selectModel(chooser.value); } });
const state = h("div", { id: "state", "aria-live": "polite" });
const details = h("dl", { class: "facts" });
const candidates = h("ul", { class: "plain", id: "candidates" });
const problems = h("div", { id: "problems", role: "alert" });
/** What went wrong while the app opened: a model that was refused must not be replaced in silence. */
const startFaults = h("div", { id: "start-faults", role: "alert" });
const offline = h("p", { id: "offline" });
const past = new HistoryView(say);

function layout(): void {
  document.title = strings.appName;
  document.getElementById("app")!.replaceChildren(
    h("a", { class: "skip", href: "#choose" }, strings.skip),
    h("div", { class: "notice" }, strings.notice),
    h("header", {}, h("img", { src: "icon.svg", alt: "" }),
      h("div", { class: "titles" }, h("h1", {}, strings.appName)), themeChooser()),
    h("main", {},
      h("section", { class: "card", "aria-labelledby": "image-heading" },
        h("h2", { id: "image-heading" }, strings.chooseHeading), startFaults, problems, stage, overlay, camera, drop,
        h("div", { class: "row" }, chooseButton, cameraButton), fileInput),
      h("section", { class: "card", "aria-labelledby": "result-heading" },
        h("h2", { id: "result-heading" }, strings.resultHeading), result, took,
        h("h2", {}, strings.modelHeading), chooser, state,
        h("details", {}, h("summary", {}, strings.detailsHeading), details, candidates),
        h("div", { class: "row" }, h("button", { id: "add", click: () => bundleInput.click() }, strings.addModel),
          h("button", { id: "remove", hidden: true, click: () => { fillWith(problems); void removeModel().catch(complain); } }, strings.removeModel)),
        bundleInput),
      past.element),
    h("footer", {}, h("p", {}, strings.noticeLong), offline), live);
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const file = event.dataTransfer?.files[0];
    if (file) void (file.name.endsWith(".zip") ? addFile(file) : answerFile(file));
  });
  const online = () => { if (!navigator.onLine) offline.textContent = strings.offlineNow; };
  addEventListener("offline", online);
  online();
}

function complain(error: unknown): void {
  const text = inWords(error);
  fillWith(problems, h("p", { class: "note bad" }, text));
  // On a phone it may lie above what is on the screen.
  problems.scrollIntoView({ block: "nearest" });
}

/** As `complain`, but for as long as the page is open: nothing that a person does next undoes it. */
function complainAtStart(what: string, error: unknown, more = ""): void {
  startFaults.append(h("p", { class: "note bad" }, fill(strings.atStart, what, inWords(error), more)));
}

// ------------------------------------------------------------------ models

function accelerator(name: Accelerator): string {
  const threads = threadCount();
  if (name === "wasm") return threads > 1 ? fill(strings.cpuThreads, threads) : strings.cpuOne;
  return name === "webgpu" ? strings.webgpu : strings.webnn;
}

async function addBundle(data: Uint8Array): Promise<Bundle> {
  const bundle = await openBundle(data, shown.trust);
  if (bundle.manifest.model.format !== "tflite") throw new Fault("unsupported", bundle.manifest.model.format);
  shown.models.set(bundle.id, bundle);
  return bundle;
}

async function addFile(file: File): Promise<void> {
  fillWith(problems);
  try {
    // Before the file is in memory.
    checkZipSize(file.size);
    const data = new Uint8Array(await file.arrayBuffer());
    const bundle = await addBundle(data);
    shown.added.add(bundle.id);
    listModels();
    await keepBundle(bundle.id, data).catch(complain);
    await selectModel(bundle.id);
  } catch (error) {
    complain(error);
    problems.append(h("p", { class: "soft" }, strings.remedyRefused));
  }
}

async function removeModel(): Promise<void> {
  const id = shown.model?.bundle.id;
  if (!id) return;
  await forgetBundle(id);
  shown.models.delete(id);
  shown.added.delete(id);
  listModels();
  await selectModel([...shown.models.keys()][0]);
}

function listModels(): void {
  fillWith(chooser, ...[...shown.models].map(([id, b]) => h("option", { value: id }, b.manifest.name)));
  chooser.hidden = shown.models.size === 0;
}

async function selectModel(id: string | undefined): Promise<void> {
  const newest = answers.begin();
  shown.model?.close();
  shown.model = undefined;
  const bundle = id === undefined ? undefined : shown.models.get(id);
  // The answer of the model before must not stand beside the name of this one.
  if (shown.pixels) unanswered(bundle ? strings.working : strings.noModel);
  if (!bundle) {
    fillWith(state, h("p", {}, strings.noModel));
    return;
  }
  chooser.value = bundle.id;
  const model = new Model(bundle, () => { if (shown.model === model) showState(model); });
  shown.model = model;
  showState(model);
  showDetails(bundle);
  document.getElementById("remove")!.hidden = !shown.added.has(bundle.id);
  // Not by turns: a picture chosen meanwhile does not make the end of the self-test old news.
  const ready = model.whenReady().then(() => true, (error: unknown) => {
    if (shown.model === model) {
      showState(model, true);
      if (shown.pixels) unanswered();
      complain(error);
    }
    return false;
  });
  try {
    if (await newest(ready) && shown.pixels) await answerPixels(shown.pixels, shown.name, false);
  } catch (error) {
    complain(error);
  }
}

function showState(model: Model, failed = false): void {
  const { best, testing } = model;
  const lines: Node[] = [];
  if (failed) lines.push(h("p", { class: "note bad", id: "failed" }, strings.selfTestFailed));
  else if (!best) lines.push(h("p", {}, strings.checking));
  else {
    const where = accelerator(best.accelerator);
    lines.push(h("p", { id: "runs-on", "data-accelerator": best.accelerator },
      testing ? fill(strings.stillChecking, where, accelerator(testing)) : fill(strings.runsOn, where)));
    lines.push(h("small", {}, fill(strings.selfTestPassed, model.bundle.reference.vectors.length)));
    if (!testing) void keepEngine(model);
  }
  if (!model.bundle.signer) lines.push(h("p", { class: "note" }, strings.unsigned));
  fillWith(state, ...lines);
  fillWith(candidates, ...model.candidates.map((c) => h("li", { class: "soft" }, c.ms !== undefined
    ? fill(strings.candidateMs, accelerator(c.accelerator), c.ms.toFixed(1))
    : fill(strings.candidateFailed, accelerator(c.accelerator), c.reason ?? ""))));
}

function showDetails(bundle: Bundle): void {
  const m = bundle.manifest;
  const rows: [string, string][] = [
    [strings.detailVariant, m.model.variant], [strings.detailClasses, m.task.classes.join(", ")],
    [strings.detailInput, `${m.preprocess.width_px} × ${m.preprocess.height_px}`],
    [strings.detailSize, `${(bundle.sizeBytes / 1e6).toFixed(1)} MB`],
    [strings.detailFingerprint, bundle.id], [strings.detailSigner, bundle.signer ?? strings.unsigned],
    [strings.detailMaker, `bedside ${m.bedside}`],
  ];
  fillWith(details, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

let kept = false;
async function keepEngine(model: Model): Promise<void> {
  if (kept || !("caches" in self)) return;
  kept = true;
  const flavours = new Set(model.candidates.filter((c) => c.ms !== undefined).map((c) => flavourFor(c.accelerator)));
  const urls = [...new Set([...flavours].flatMap(filesOf))];
  try {
    await keep(urls);
    if (await workerReady) offline.textContent = strings.offlineReady;
  } catch {
    kept = false;
  }
}

// ------------------------------------------------------------------ images

async function answerFile(file: File): Promise<void> {
  const newest = choices.begin();
  closeCamera();
  // From here the picture before is history: should this file not be readable, nobody may take the
  // answer that is on the screen, or one still being calculated, for this file's.
  answers.begin();
  shown.pixels = undefined;
  stage.hidden = true;
  unanswered(strings.working);
  fillWith(problems);
  try {
    const pixels = await newest(decode(file));
    if (pixels) await answerPixels(pixels, file.name, true);
  } catch (error) {
    if (!shown.pixels) {
      drop.hidden = false;
      unanswered(strings.resultNone);
    }
    complain(error);
  }
}

async function useCamera(): Promise<void> {
  drop.hidden = true;
  fillWith(problems);
  try {
    await openCamera(camera, (pixels) => {
      choices.begin();
      void answerPixels(pixels, strings.camera, true).catch(complain);
    }, () => { drop.hidden = shown.pixels !== undefined; chooseButton.focus(); });
  } catch (error) {
    drop.hidden = shown.pixels !== undefined;
    complain(error);
  }
}

/** No answer is shown, but what stands in its place. */
function unanswered(text = ""): void {
  overlay.hidden = true;
  map.hidden = true;
  took.textContent = "";
  delete result.dataset["logits"];
  delete result.dataset["predicted"];
  fillWith(result, text ? h("p", {}, text) : null);
}

async function answerPixels(pixels: Pixels, name: string, record: boolean): Promise<void> {
  const newest = answers.begin();
  shown.pixels = pixels;
  shown.name = name;
  paintPixels(picture, pixels);
  stage.hidden = false;
  drop.hidden = true;
  const model = shown.model;
  unanswered(model ? strings.working : strings.noModel);
  if (!model) return;
  let outcome: Outcome | undefined;
  try {
    outcome = await newest(model.run(pixels));
  } catch (error) {
    unanswered();
    throw error;
  }
  if (!outcome) return;
  showOutcome(model, outcome);
  if (record) {
    // On a phone the answer lies below the picture. At once: what is left of a smooth movement would
    // push a fault that comes after it out of sight.
    document.getElementById("verdict")!.scrollIntoView({ block: "nearest" });
    await past.add(await entry(model.bundle, outcome, name)).catch(complain);
  }
}

function showOutcome(model: Model, outcome: Outcome): void {
  shown.outcome = outcome;
  const { bundle } = model;
  fillWith(result, ...resultView(bundle, outcome.answer));
  result.dataset["logits"] = JSON.stringify([...outcome.logits]);
  result.dataset["predicted"] = outcome.answer.withheld ? "withheld" : String(outcome.answer.predicted);
  took.textContent = fill(strings.took, outcome.ms.toFixed(0), accelerator(outcome.accelerator));
  overlay.hidden = outcome.answer.withheld !== null;
  slider.hidden = outcome.cam === undefined;
  if (outcome.cam && !outcome.answer.withheld) {
    paintMap(map, outcome.cam, outcome.answer.predicted);
    map.hidden = false;
    map.style.opacity = String(Number(slider.value) / 100);
    overlayNote.textContent = fill(strings.overlayNote, bundle.manifest.task.classes[outcome.answer.predicted]!);
  } else {
    map.hidden = true;
    overlayNote.textContent = strings.overlayNone;
  }
}

async function entry(bundle: Bundle, outcome: Outcome, name: string) {
  const side = 112;
  const small = h("canvas", { width: side, height: side });
  const from = Math.min(picture.width, picture.height);
  small.getContext("2d")!.drawImage(picture, (picture.width - from) / 2, (picture.height - from) / 2, from, from, 0, 0, side, side);
  const thumbnail = await new Promise<Blob>((resolve, reject) =>
    small.toBlob((b) => (b ? resolve(b) : reject(new Fault("storage", "thumbnail"))), "image/jpeg", 0.8));
  const { classes, positive } = bundle.manifest.task;
  const { predicted, probabilities, threshold } = outcome.answer;
  // The figure that the threshold is about, where there is one.
  const told = positive !== null && threshold !== null ? 1 : predicted;
  return {
    when: Date.now(), name, model: bundle.manifest.name, predicted: outcome.answer.withheld ? strings.withheld : classes[predicted]!,
    of: classes[told]!, probability: probabilities[told]!, threshold, thumbnail,
    unlike: outcome.answer.unlike, quality: outcome.answer.quality,
    withheld: outcome.answer.withheld !== null,
  };
}

// ------------------------------------------------------------------ start

let workerReady: Promise<boolean> = Promise.resolve(false);

async function readConfig(data: Uint8Array): Promise<Config> {
  try {
    const config = JSON.parse(new TextDecoder().decode(data)) as Partial<Config>;
    if (Array.isArray(config.bundles) && Array.isArray(config.trust)) return config as Config;
  } catch {
    // The same to a person as a list without its parts.
  }
  throw new Fault("listDamaged");
}

async function start(): Promise<void> {
  layout();
  fillWith(state, h("p", {}, strings.loading));
  void past.show().catch(() => {});
  workerReady = installWorker().catch(() => false);
  // The engine comes while bundles are fetched and verified; not before a reload for isolation.
  if (self.crossOriginIsolated || !self.isSecureContext) void kitOf(flavourFor("wasm")).catch(() => {});
  try {
    const keptInstead = (url: string) => (error: unknown) => complainAtStart(url, error, strings.keptCopy);
    const config = await fetchFile("app.json", readConfig, keptInstead("app.json"));
    shown.trust = config.trust;
    for (const url of config.bundles) {
      try {
        await fetchFile(url, addBundle, keptInstead(url));
      } catch (error) {
        complainAtStart(url, error);
      }
    }
    for (const data of await keptBundles().catch(() => [])) {
      const bundle = await addBundle(data).catch((error: unknown) => complainAtStart(strings.addedModel, error));
      if (bundle) shown.added.add(bundle.id);
    }
  } catch (error) {
    complainAtStart("app.json", error);
  }
  listModels();
  await selectModel([...shown.models.keys()][0]);
}

void start();
