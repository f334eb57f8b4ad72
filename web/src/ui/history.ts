/** The history: results of this device, which never leave it. */
import { forgetHistory, history, remember, type Entry } from "../store";
import { fill, strings } from "../strings";
import { fillWith, h, percent } from "./dom";
import { qualityText } from "./result";

export class HistoryView {
  private readonly list = h("ul", { class: "history" });
  private readonly keepBox = h("input", { type: "checkbox", id: "keep" });
  readonly element: HTMLElement;
  private urls: string[] = [];

  constructor(private readonly say: (text: string) => void) {
    this.keepBox.checked = localStorage.getItem("keep") !== "no";
    this.keepBox.addEventListener("change", () => {
      localStorage.setItem("keep", this.keepBox.checked ? "yes" : "no");
    });
    this.element = h("section", { class: "card wide", "aria-labelledby": "history-heading" },
      h("div", { class: "row spread" },
        h("h2", { id: "history-heading" }, strings.historyHeading),
        h("button", { id: "forget", click: () => void this.clear() }, strings.historyClear)),
      h("label", { class: "check" }, this.keepBox, strings.historyKeep),
      h("small", {}, strings.historyNote), this.list);
  }

  async add(entry: Entry): Promise<void> {
    if (!this.keepBox.checked) return;
    await remember(entry);
    await this.show();
  }

  async show(): Promise<void> {
    const entries = await history();
    this.urls.splice(0).forEach((u) => URL.revokeObjectURL(u));
    fillWith(this.list, ...(entries.length ? entries.map((e) => this.row(e)) : [h("li", { class: "soft" }, strings.historyEmpty)]));
  }

  private row(entry: Entry): Node {
    const url = URL.createObjectURL(entry.thumbnail);
    this.urls.push(url);
    const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(entry.when);
    return h("li", {}, h("img", { src: url, alt: "" }),
      h("div", {}, h("strong", {}, entry.predicted),
        h("div", { class: "soft" }, fill(strings.historyRow, entry.name, entry.model)),
        h("div", { class: "soft" }, when),
        entry.unlike ? h("div", { class: "warned" }, strings.unlike) : null,
        entry.quality?.length ? h("div", { class: "warned" }, qualityText(entry.quality, document.documentElement.lang)) : null),
      entry.withheld ? null
        : h("span", {}, fill(strings.historyProbability, entry.of ?? entry.predicted, percent(entry.probability))));
  }

  private async clear(): Promise<void> {
    await forgetHistory();
    await this.show();
    this.say(strings.historyCleared);
  }
}
