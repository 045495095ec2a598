/* The key of both ports, to copy into other programs. */

import { call, givenKey } from "./client.js";
import { find, tell } from "./elements.js";
import { text } from "./texts.js";

async function show() {
  tell(find("access-problem"), null);
  try {
    // Within Home Assistant nobody has given it.
    find("shown-key").value = givenKey() ?? (await call("GET", "key")).api_key;
  } catch (error) {
    tell(find("access-problem"), error.message);
  }
}

async function copy() {
  const field = find("shown-key");
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Browsers lend the clipboard to https alone, and not to every page within another.
    if (!document.execCommand("copy")) {
      return;
    }
  }
  tell(find("copied"), text("key_copied"));
}

/* Make the part of the page work. */
export function keyBox() {
  find("access").addEventListener("toggle", () => {
    tell(find("copied"), null);
    if (find("access").open) {
      show();
    } else {
      find("shown-key").value = "";
    }
  });
  find("copy-key").addEventListener("click", copy);
}
