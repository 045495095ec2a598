/* The app's API, as the page uses it. */

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

async function request(method, path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  const key = sessionStorage.getItem(KEY);
  if (key) {
    headers.Authorization = `Bearer ${key}`;
  }
  // Relative: within Home Assistant the page has an address of its own.
  const response = await fetch(`api/${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({ error: {} }));
    throw new ApiError(error.code ?? "error", error.message ?? `${response.status}`);
  }
  return response;
}

/* Ask for JSON. Throws ApiError for what the app says is wrong. */
export async function call(method, path, body) {
  return (await request(method, path, body)).json();
}

/* Ask for events; yield each as [name, data]. */
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
