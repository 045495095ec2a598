/* The words of the page in the language of its reader, and numbers as they are written there. */

import { homeLanguage } from "./home.js";

// Each has a file in texts/.
const LANGUAGES = ["en", "cs", "da", "de", "es", "fr", "hu", "it", "nl", "pl", "pt-BR", "ru", "sv", "zh-Hans"];

/* Tell whether two are one language in one script: "de-AT" and "de" are, "zh-TW" and "zh-Hans" are not. */
function isSame(one, other) {
  const [left, right] = [one, other].map((tag) => new Intl.Locale(tag).maximize());
  return left.language === right.language && left.script === right.script;
}

function choose() {
  for (const wanted of [homeLanguage, ...navigator.languages].filter(Boolean)) {
    const found = LANGUAGES.find((one) => isSame(one, wanted));
    if (found) {
      return found;
    }
  }
  return "en";
}

/* Return the words of a language. Throws what goes wrong. */
async function load(name) {
  const response = await fetch(`texts/${name}.json`);
  if (!response.ok) {
    throw new Error(`texts/${name}.json: ${response.status}`);
  }
  return response.json();
}

let chosen = choose();
const words = await load(chosen).catch(() => load((chosen = "en")));

/* The language of the page. */
export const language = chosen;

/* Tell whether there is such a text. */
export function hasText(key) {
  return Object.hasOwn(words, key);
}

/* Return a text with its placeholders filled in. */
export function text(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/* Put the words where the page asks for them. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text(element.dataset.text);
  }
}

export function number(n) {
  return n.toLocaleString(language, { maximumFractionDigits: 1 });
}

/* Return a time, given in seconds, as a day and an hour. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

export function percent(share) {
  return share.toLocaleString(language, { style: "percent", maximumFractionDigits: 0 });
}

/* Return bytes, or those of each second, in the unit that suits them. */
export function bytes(n, each = "") {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, n)) / 3));
  return (n / 1000 ** power).toLocaleString(language, {
    style: "unit",
    unit: units[power] + each,
    unitDisplay: "short",
    maximumFractionDigits: power === 3 ? 1 : 0,
  });
}

export function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes > 1 ? text("minutes", { n: minutes }) : text("seconds", { n: Math.round(seconds) });
}
