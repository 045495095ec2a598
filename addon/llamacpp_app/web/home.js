/* Home Assistant's own page, if this one is shown within it: its language and its colours. */

function homePage() {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    // Another server shows this page.
    return null;
  }
}

/* The language that the user has set in Home Assistant, or "". */
export const homeLanguage = homePage()?.documentElement.lang ?? "";

/* Whether the page is shown within Home Assistant. */
export const isAtHome = Boolean(homePage());

/* Be as dark or light as Home Assistant is now; alone, the page follows the browser. */
export function followColours() {
  const scheme = homePage()?.querySelector("meta[name=color-scheme]")?.content;
  document.documentElement.style.colorScheme = scheme ?? "";
}
