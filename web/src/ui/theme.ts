/** Light, dark, or as the device says. */
import { strings } from "../strings";
import { h } from "./dom";

export function themeChooser(): HTMLElement {
  const options = { "": strings.themeAuto, light: strings.themeLight, dark: strings.themeDark };
  const select = h("select", { "aria-label": strings.themeLabel, id: "theme", change: () => {
    localStorage.setItem("theme", select.value);
    apply(select.value);
  } }, ...Object.entries(options).map(([value, text]) => h("option", { value }, text)));
  select.value = localStorage.getItem("theme") ?? "";
  apply(select.value);
  return select;
}

function apply(theme: string): void {
  if (theme) document.documentElement.dataset["theme"] = theme;
  else delete document.documentElement.dataset["theme"];
}
