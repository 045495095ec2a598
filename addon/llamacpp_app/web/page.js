/* What the page does: it asks the app every few seconds, and lets one try the model. */

import { chatBox } from "./chat.js";
import { drawLine } from "./charts.js";
import { ApiError, call, setKey } from "./client.js";
import { modelList } from "./models.js";
import { bytes, duration, text, translatePage } from "./texts.js";

const POLL_MILLISECONDS = 2000;
const SLOW_MILLISECONDS = 10000;
const find = (id) => document.getElementById(id);

export function showProblem(message) {
  find("problem").textContent = message ?? "";
  find("problem").hidden = !message;
}

function showDownloads(downloads) {
  find("downloads").hidden = !downloads.length;
  find("download-list").replaceChildren(
    ...downloads.map((one) => {
      const block = document.createElement("div");
      const bar = document.createElement("progress");
      const note = document.createElement("span");
      note.className = "note";
      note.textContent = text("download_begins", { name: one.model });
      if (one.total_bytes) {
        bar.max = one.total_bytes;
        bar.value = one.done_bytes;
        note.textContent = text("download_state", {
          name: one.model,
          done: bytes(one.done_bytes),
          total: bytes(one.total_bytes),
          speed: bytes(one.bytes_per_second ?? 0),
          left: one.seconds_left === null ? "?" : duration(one.seconds_left),
        });
      }
      bar.ariaLabel = one.model;
      block.append(bar, note);
      return block;
    }),
  );
}

async function refresh() {
  const health = await call("GET", "health");
  find("status").textContent = text(`status_${health.status}`, { model: health.model });
  showProblem(health.status === "error" || health.crashes ? health.message : null);
  showDownloads(health.downloads);
  models.show((await call("GET", "models")).models, health.model);
}

async function refreshSlowly() {
  const { samples } = await call("GET", "statistics");
  drawLine(find("speed-chart"), samples, "generation_speed", "generation", (n) => n.toFixed(1));
  drawLine(find("cache-chart"), samples, "cached_share", "cache", (n) => `${Math.round(100 * n)} %`);
  const log = find("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 5;
  log.textContent = (await call("GET", "log")).lines.join("\n");
  if (atEnd) {
    log.scrollTop = log.scrollHeight;
  }
}

/* Do something again and again; a key that is missing is asked for, other failures are told. */
function repeat(task, milliseconds) {
  const run = async () => {
    try {
      await task();
      find("key-form").hidden = true;
    } catch (error) {
      if (error instanceof ApiError && error.code === "unauthorized") {
        find("key-form").hidden = false;
      } else {
        showProblem(error instanceof ApiError ? error.message : text("no_answer"));
      }
    }
    setTimeout(run, milliseconds);
  };
  run();
}

translatePage();
const models = modelList(showProblem);
chatBox();
find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setKey(find("key").value);
  refresh().then(
    () => {
      find("key-form").hidden = true;
      showProblem(null);
    },
    () => showProblem(text("wrong_key")),
  );
});
repeat(refresh, POLL_MILLISECONDS);
repeat(refreshSlowly, SLOW_MILLISECONDS);
