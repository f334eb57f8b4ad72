"use strict";
const $ = (id) => document.getElementById(id);
let items = [], at = 0, boxes = [], showText = false, frame = 0, drag = null;

async function post(path, body) {
  const answer = await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify(body)});
  if (!answer.ok) { $("hint").textContent = await answer.text(); return null; }
  return answer.json();
}
function draw() {
  const open = items.filter((i) => !i.verdict).length;
  $("count").textContent = items.length === 0 ? "No files to review." :
    `${items.length} images, ${open} undecided`;
  $("list").replaceChildren(...items.map((item, n) => {
    const button = document.createElement("button"), state = document.createElement("span");
    button.type = "button"; button.textContent = `${n + 1}. ${item.kind}`;
    button.setAttribute("aria-current", String(n === at));
    state.textContent = item.verdict || "open"; button.append(state);
    button.onclick = () => go(n);
    return button;
  }));
  $("view").hidden = items.length === 0;
  if (items.length === 0) return;
  const item = items[at];
  $("reason").textContent = item.fault ? `${item.reason}: ${item.fault}` : item.reason;
  $("stage").hidden = Boolean(item.fault);
  $("accept").disabled = $("redact").disabled = Boolean(item.fault);
  for (const name of ["accept", "redact", "reject"])
    $(name).setAttribute("aria-pressed", String(item.verdict === name));
  $("original").setAttribute("aria-pressed", String(showText));
  $("original").disabled = !item.preview;
  $("frames").hidden = item.frames < 2 || showText;
  $("frame").textContent = `frame ${frame + 1} of ${item.frames}`;
  $("boxes").hidden = showText;
  const source = showText ? `preview/${item.id}` : `image/${item.id}/${frame}`;
  if (!item.fault && !$("image").src.endsWith(source)) $("image").src = source;
  $("boxes").replaceChildren(...boxes.map((b) => {
    const mark = document.createElement("i");
    mark.style.left = `${100 * b[0]}%`; mark.style.top = `${100 * b[1]}%`;
    mark.style.width = `${100 * (b[2] - b[0])}%`; mark.style.height = `${100 * (b[3] - b[1])}%`;
    return mark;
  }));
}
function go(n) {
  if (items.length === 0) { draw(); return; }
  at = (n + items.length) % items.length; showText = false; frame = 0;
  boxes = items[at].boxes.map((b) => [...b]);
  $("hint").textContent = "Drag over the image to mark regions to redact.";
  draw();
}
async function decide(verdict) {
  const item = items[at];
  if (!item) return;
  if (verdict === "redact" && boxes.length === 0) {
    $("hint").textContent = "Drag over the regions to redact first, then press R."; return;
  }
  const sent = verdict === "redact" ? boxes : [];
  if (await post("decide", {id: item.id, verdict, boxes: sent}) === null) return;
  item.verdict = verdict; item.boxes = sent.map((b) => [...b]);
  if (verdict) {
    const next = items.findIndex((i, n) => n > at && !i.verdict);
    const any = next >= 0 ? next : items.findIndex((i) => !i.verdict);
    go(any >= 0 ? any : at);
  } else go(at);
}
function position(event) {
  const area = $("image").getBoundingClientRect();
  const share = (v, low, size) => Math.min(1, Math.max(0, (v - low) / size));
  return [share(event.clientX, area.left, area.width), share(event.clientY, area.top, area.height)];
}
$("stage").addEventListener("pointerdown", (event) => {
  if (showText) return;
  event.preventDefault(); drag = position(event); $("stage").setPointerCapture(event.pointerId);
  boxes.push([...drag, ...drag]);
});
$("stage").addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [x, y] = position(event);
  boxes[boxes.length - 1] = [Math.min(x, drag[0]), Math.min(y, drag[1]), Math.max(x, drag[0]),
    Math.max(y, drag[1])];
  draw();
});
$("stage").addEventListener("pointerup", () => {
  if (!drag) return;
  drag = null;
  const last = boxes[boxes.length - 1];
  if (last[2] - last[0] < 0.004 || last[3] - last[1] < 0.004) boxes.pop();
  if (boxes.length) $("hint").textContent = `${boxes.length} marked. Press R to redact.`;
  draw();
});
const actions = {
  accept: () => decide("accept"), redact: () => decide("redact"), reject: () => decide("reject"),
  forget: () => decide(null), prev: () => go(at - 1), next: () => go(at + 1),
  original: () => { if (items[at]?.preview) { showText = !showText; draw(); } },
  lastbox: () => { boxes.pop(); draw(); },
  fprev: () => { frame = Math.max(0, frame - 1); draw(); },
  fnext: () => { frame = Math.min(items[at].frames - 1, frame + 1); draw(); },
  done: async () => {
    if (await post("done", {}) !== null) {
      document.body.textContent = "Done. Your decisions are being applied. You can close this page.";
    }
  },
};
for (const [id, run] of Object.entries(actions)) $(id).onclick = run;
const keys = {a: "accept", r: "redact", x: "reject", u: "forget", ArrowLeft: "prev",
  ArrowRight: "next", k: "prev", j: "next", f: "original", z: "lastbox", "[": "fprev", "]": "fnext"};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault(); actions[keys[event.key]]();
});
fetch("items").then((a) => a.json()).then((list) => { items = list; go(0); });
