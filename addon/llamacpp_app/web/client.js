/* The app's API, as the page uses it. */

import { hasText, text } from "./texts.js";

const KEY = "llamacpp-key";

export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export function setKey(key) {
  sessionStorage.setItem(KEY, key.trim());
}

/* Return the key that a user has given to the page, null without one. */
export function givenKey() {
  return sessionStorage.getItem(KEY);
}

/* Return what a refusal means, in the user's language where the page has words for it. */
async function errorOf(response) {
  const { error } = await response.json().catch(() => ({}));
  if (error) {
    return new ApiError(error.code, hasText(`error_${error.code}`) ? text(`error_${error.code}`) : error.message);
  }
  // It does not come from the app, but from what stands before it.
  const isShut = response.status === 401 || response.status === 403;
  return new ApiError("no_answer", text(isShut ? "session_over" : "no_answer"));
}

async function request(method, path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  if (givenKey()) {
    headers.Authorization = `Bearer ${givenKey()}`;
  }
  let response;
  try {
    // Relative: within Home Assistant the page has an address of its own.
    response = await fetch(`api/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    throw error.name === "AbortError" ? error : new ApiError("no_answer", text("no_answer"));
  }
  if (!response.ok) {
    throw await errorOf(response);
  }
  return response;
}

/* Ask for JSON. Throws ApiError, whose message is for people. */
export async function call(method, path, body) {
  return (await request(method, path, body)).json();
}

/* Ask for events; yield each as [name, data]. Throws ApiError, and AbortError after the signal. */
export async function* events(path, body, signal) {
  const response = await request("POST", path, { ...body, stream: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const [name, data] = block.split("\n");
      yield [name.slice("event: ".length), JSON.parse(data.slice("data: ".length))];
    }
  }
}
