/** The answer in plain words. */
import type { Answer, Outside } from "../bundle/answer";
import type { Bundle } from "../bundle/bundle";
import { fill, strings } from "../strings";
import { h, percent } from "./dom";

/** Below and above the training images; twin of `QUALITY_WORDS` in bedside.runtime.decide. */
const QUALITY = new Map<string, readonly [low: string, high: string]>([
  ["brightness", [strings.qualityDarker, strings.qualityBrighter]],
  ["contrast", [strings.qualityFlat, strings.qualityHard]],
  ["saturated", [strings.qualityLessSaturated, strings.qualitySaturated]],
  ["black", [strings.qualityLessBlack, strings.qualityBlack]],
  ["sharpness", [strings.qualityBlurred, strings.qualitySharp]],
]);

export function qualityText(faults: readonly Outside[], language?: string): string {
  const words = faults.map(({ name, high }) => QUALITY.get(name)?.[high ? 1 : 0] ?? fill(strings.qualityOther, name));
  return fill(strings.quality, new Intl.ListFormat(language).format(words));
}

/** Probabilities this close to the threshold are called close. */
const NEAR = 0.1;

export type Tone = "" | "alert" | "near" | "calm";

export function isNear(answer: Answer): boolean {
  return answer.threshold !== null && Math.abs(answer.probabilities[1]! - answer.threshold) < NEAR;
}

/** Only an answer without any warning may look reassuring: a colour is read before a sentence is. */
export function toneOf(answer: Answer, binary: boolean): Tone {
  if (!binary) return "";
  if (answer.withheld) return "near";
  if (answer.predicted === 1) return "alert";
  return isNear(answer) || answer.unlike || answer.quality.length > 0 ? "near" : "calm";
}

export function resultView(bundle: Bundle, answer: Answer): Node[] {
  const { classes, positive } = bundle.manifest.task;
  const predicted = classes[answer.predicted]!;
  const shown: Node[] = [];
  const poor = bundle.manifest.below_floor ?? [];
  if (poor.length) shown.push(h("p", { class: "note floor", role: "alert" }, fill(strings.belowFloor, poor.join("; "))));
  if (answer.unlike) shown.push(h("p", { class: "note bad", role: "alert" }, strings.unlike));
  if (answer.quality.length) {
    const names = answer.quality.map((q) => q.name).join(" ");
    shown.push(h("p", { class: "note", "data-faults": names }, qualityText(answer.quality, document.documentElement.lang)));
  }
  if (answer.withheld) {
    shown.push(h("div", { class: "verdict near", id: "verdict" }, h("strong", {}, strings.withheld),
      h("p", {}, answer.withheld === "unlike" ? strings.withheldUnlike : strings.withheldUnsure)));
    return shown;
  }
  const binary = positive !== null && answer.threshold !== null;
  const near = binary && isNear(answer);
  const tone = toneOf(answer, binary);
  const why = binary
    ? fill(answer.predicted === 1 ? strings.above : strings.below, positive, percent(answer.probabilities[1]!), percent(answer.threshold!), predicted)
    : strings.highest;
  shown.push(h("div", { class: `verdict ${tone}`, id: "verdict" },
    h("strong", {}, fill(binary ? strings.resultLikely : strings.resultMulti, predicted)),
    h("p", {}, why), ...(near ? [h("p", {}, strings.near)] : [])));
  if (binary) shown.push(gauge(positive, answer.probabilities[1]!, answer.threshold!));
  shown.push(h("dl", { class: "classes" }, ...classes.flatMap((name, i) => [
    h("dt", {}, fill(strings.probabilityOf, name)), h("dd", {}, percent(answer.probabilities[i]!)),
  ])));
  if (!bundle.manifest.operating_point.locked) shown.push(h("small", {}, strings.uncalibrated));
  return shown;
}

function gauge(positive: string, probability: number, threshold: number): Node {
  const bar = h("i");
  const mark = h("b");
  const label = h("span", {}, fill(strings.thresholdLine, percent(threshold)));
  bar.style.width = `${probability * 100}%`;
  mark.style.left = `calc(${threshold * 100}% - 1px)`;
  label.style.left = `${Math.min(85, Math.max(15, threshold * 100))}%`;
  const text = `${fill(strings.probabilityOf, positive)}: ${percent(probability)}. ${fill(strings.thresholdLine, percent(threshold))}`;
  return h("div", { class: "gauge", role: "img", "aria-label": text }, bar, mark, label);
}
