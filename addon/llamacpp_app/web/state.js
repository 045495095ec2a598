/* What the app is doing: its state in a sentence, the model with its memory, and downloads. */

import { find, make, tell } from "./elements.js";
import { isAtHome } from "./home.js";
import { bytes, duration, language, number, percent, text } from "./texts.js";

function sentenceOf(health, current) {
  if (health.status === "ok" && current?.memory === "loading") {
    return ["loading", text("status_loading")];
  }
  if (health.status === "ok" && current?.memory === "sleeping") {
    return ["ok", text("status_sleeping")];
  }
  if (health.status === "loading" && health.crashes) {
    return ["error", text("status_again")];
  }
  return [health.status, text(`status_${health.status}`)];
}

function show(kind, sentence, reason, reasonLanguage) {
  find("state").dataset.kind = kind;
  tell(find("status"), sentence);
  find("reason").lang = reasonLanguage;
  tell(find("reason"), reason);
}

const INTEGRATIONS = "/config/integrations/dashboard";

let shownFacts = "";

/* Return the words of a fact, as a link to where something is to be done. */
function wordsOf(value, address) {
  if (!address) {
    return value;
  }
  const link = make("a", "", value);
  link.href = address;
  link.target = "_top";
  return link;
}

function showFacts(health, current) {
  const facts = [];
  if (health.model) {
    facts.push([text("model"), health.model]);
  }
  if (health.memory_bytes) {
    facts.push([text("memory"), bytes(health.memory_bytes)]);
  }
  if (health.context_size) {
    facts.push([text("context"), text("tokens", { n: number(health.context_size) })]);
  }
  if (current?.context_length) {
    facts.push([text("longest_context"), text("tokens", { n: number(current.context_length) })]);
  }
  const cards = health.cards.map((one) => one.description).join(", ");
  if (health.status === "ok" && (cards || !health.workers.length)) {
    facts.push([text("computes"), cards || text("processor")]);
  }
  if (health.cards_message) {
    facts.push([text("card"), health.cards_message]);
  }
  if (health.home_assistant) {
    const isLink = health.home_assistant === "missing" && isAtHome;
    facts.push([text("home_assistant"), text(`home_${health.home_assistant}`), isLink && INTEGRATIONS]);
  }
  if (health.keyless_ports.length) {
    facts.push([text("keyless"), health.keyless_ports.join(", ")]);
  }
  if (health.keyless_message) {
    facts.push([text("key_label"), health.keyless_message]);
  }
  facts.push([text("active"), number(health.active_conversations)]);
  if (health.workers.length) {
    facts.push([text("workers"), health.workers.join(", ")]);
  }
  // Who is about to follow the link is not to lose it.
  if (shownFacts === JSON.stringify(facts)) {
    return;
  }
  shownFacts = JSON.stringify(facts);
  find("facts").replaceChildren(
    ...facts.map(([name, value, address]) => {
      const fact = make("div");
      const told = make("dd");
      told.append(wordsOf(value, address));
      fact.append(make("dt", "", name), told);
      return fact;
    }),
  );
}

/* Return a block for a download: its name, a bar, and how far it is. */
function makeBlock(name) {
  const block = make("div", "download");
  const bar = make("progress");
  bar.ariaLabel = name;
  const fault = make("span", "wrong");
  // The app itself speaks English.
  fault.lang = "en";
  block.append(make("strong", "", name), make("span", "share"), bar, make("span", "note"), fault);
  return block;
}

/* Show how far a download is, and why it does not go on if it does not. */
function fillBlock(block, one) {
  const [, share, bar, note, fault] = block.children;
  tell(fault, one.error);
  if (!one.total_bytes) {
    bar.removeAttribute("value");
    note.textContent = one.done_bytes ? bytes(one.done_bytes) : text("download_begins");
    return;
  }
  bar.max = one.total_bytes;
  bar.value = one.done_bytes;
  share.textContent = percent(one.done_bytes / one.total_bytes);
  const words = [text("download_done", { done: bytes(one.done_bytes), total: bytes(one.total_bytes) })];
  if (one.bytes_per_second) {
    words.push(bytes(one.bytes_per_second, "-per-second"));
  }
  if (one.seconds_left !== null) {
    words.push(text("download_left", { left: duration(one.seconds_left) }));
  }
  note.textContent = words.join(" · ");
}

function showDownloads(downloads) {
  const list = find("download-list");
  const blocks = new Map([...list.children].map((block) => [block.firstChild.textContent, block]));
  find("downloads").hidden = !downloads.length;
  list.replaceChildren(
    ...downloads.map((one) => {
      const block = blocks.get(one.model) ?? makeBlock(one.model);
      fillBlock(block, one);
      return block;
    }),
  );
}

/* Show what `/api/health` and `/api/models` tell. */
export function showState(health, models) {
  const current = models.find((one) => one.name === health.model);
  const [kind, sentence] = sentenceOf(health, current);
  // The app itself speaks English.
  show(kind, sentence, ["error", "ok"].includes(kind) ? health.message : null, "en");
  showFacts(health, current);
  showDownloads(health.downloads);
}

/* Tell that nothing is known, and why. */
export function showSilence(reason) {
  show("error", text("status_error"), reason, language);
}
