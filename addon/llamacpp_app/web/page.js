/* What the page does: it asks the app every few seconds, and lets one try the model. */

import { drawCharts } from "./charts.js";
import { chatBox } from "./chat.js";
import { call, givenKey, setKey } from "./client.js";
import { find, tell } from "./elements.js";
import { followColours } from "./home.js";
import { keyBox } from "./key.js";
import { modelList } from "./models.js";
import { showSilence, showState } from "./state.js";
import { text, translatePage } from "./texts.js";

const POLL_MILLISECONDS = 2000;
// Charts and log are asked for with every fifth question only.
const SLOW = 5;

let rounds = 0;
let timer = null;

async function refresh() {
  const health = await call("GET", "health");
  const told = await call("GET", "models");
  showState(health, told.models);
  chat.setContext(health.context_size);
  list.show(told, health.model);
}

async function refreshSlowly() {
  drawCharts((await call("GET", "statistics")).samples);
  const log = find("log");
  const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
  log.textContent = (await call("GET", "log")).lines.join("\n");
  if (isAtEnd) {
    log.scrollTop = log.scrollHeight;
  }
}

/* Without the key there is nothing to show, and nothing is asked until it is given. */
function lock(is) {
  find("key-form").hidden = !is;
  find("content").hidden = is;
  if (is) {
    tell(find("key-problem"), givenKey() ? text("error_unauthorized") : null);
    find("key").focus();
  }
}

/* Ask now, and again and again afterwards, as long as the page is visible. */
async function run() {
  clearTimeout(timer);
  timer = null;
  followColours();
  try {
    await refresh();
    lock(false);
    chat.restore();
    if (rounds++ % SLOW === 0) {
      await refreshSlowly();
    }
  } catch (error) {
    if (error.code === "unauthorized") {
      lock(true);
      return;
    }
    showSilence(error.message);
  }
  clearTimeout(timer);
  timer = document.hidden ? null : setTimeout(run, POLL_MILLISECONDS);
}

translatePage();
const list = modelList(run);
const chat = chatBox();
keyBox();
find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setKey(find("key").value);
  rounds = 0;
  run();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && find("key-form").hidden) {
    run();
  }
});
run();
