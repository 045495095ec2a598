/* Small helpers for the elements of the page. */

export const find = (id) => document.getElementById(id);

/* Make an element with a class and words. */
export function make(tag, className = "", words = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = words;
  return made;
}

/* Show a sentence in an element, or hide the element if there is none. */
export function tell(element, sentence) {
  // What stays the same is not read aloud again.
  if (element.textContent !== (sentence ?? "")) {
    element.textContent = sentence ?? "";
  }
  element.hidden = !sentence;
}
