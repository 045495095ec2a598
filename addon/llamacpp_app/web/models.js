/* The models: which there are, and what can be done with them. */

import { call } from "./client.js";
import { find, make, tell } from "./elements.js";
import { bytes, number, text } from "./texts.js";

const MEMORY_STATES = ["loaded", "loading", "sleeping"];

function notesOf(model) {
  const state = model.state === "ready" && MEMORY_STATES.includes(model.memory) ? model.memory : model.state;
  const notes = [text(`model_${state}`)];
  if (model.bytes) {
    notes.push(bytes(model.bytes));
  }
  if (model.parameters) {
    notes.push(text("parameters", { n: number(Math.round(model.parameters / 1e6)) }));
  }
  return [...notes, ...fitOf(model)].join(" · ");
}

/* What this machine makes of a model: whether it is too large, and its speed, measured or estimated. */
function fitOf({ fits, tokens_per_second: speed, is_measured: isMeasured }) {
  const notes = fits === false ? [text("too_large")] : [];
  if (speed) {
    notes.push((isMeasured ? "" : "≈ ") + text("tokens_per_second", { n: number(speed) }));
  }
  return notes;
}

/* Ask whether a model is really to be deleted. */
function confirmed(name) {
  const dialog = find("delete-dialog");
  find("delete-question").textContent = text("delete_sure", { name });
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

/* What an address calls its file, or a repository its quantisation, as a name for the model. */
function nameIn(address) {
  const file = /([^/:]+?)(?:-00001-of-\d{5})?\.gguf(?:[?#]|$)/i.exec(address)?.[1];
  const [, repository, tag] = /([^/:]+?)(?:-GGUF)?(?::([\w-]+))?\/?$/i.exec(address) ?? [];
  const name = file ? decoded(file) : repository && `${repository}-${tag ?? "Q4_K_M"}`;
  return (name ?? "").replace(/[^A-Za-z0-9_.+@-]+/g, "-").replace(/^[-._+@]+|[-._+@]+$/g, "");
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/* Show which files in the folder are not offered, and why. */
function showIgnored(ignored) {
  find("ignored").hidden = !ignored.length;
  find("ignored-files").replaceChildren(
    ...ignored.map(({ file, reason }) => {
      const line = make("li", "note");
      line.append(make("strong", "", file), " ", make("span", "", reason));
      // The app itself speaks English.
      line.lastChild.lang = "en";
      return line;
    }),
  );
}

/* Make the list and its form work; `refresh` is called when something has changed. */
export function modelList(refresh) {
  let shown = "";
  let suggested = "";

  async function act(place, method, path, body) {
    tell(place, null);
    try {
      await call(method, path, body);
      refresh();
      return true;
    } catch (error) {
      tell(place, error.message);
      return false;
    }
  }

  function button(key, model, action) {
    const made = make("button", "quiet", text(key));
    made.dataset.action = `${key} ${model.name}`;
    made.ariaLabel = `${text(key)}: ${model.name}`;
    made.addEventListener("click", async () => {
      made.disabled = true;
      await action();
      made.disabled = false;
    });
    return made;
  }

  function buttonsOf(model, isCurrent) {
    const path = `models/${encodeURIComponent(model.name)}`;
    const place = find("list-problem");
    const buttons = make("div", "buttons");
    if (model.state === "ready" && !isCurrent) {
      buttons.append(button("use", model, () => act(place, "POST", `${path}/load`)));
    }
    if (model.can_delete) {
      buttons.append(
        button("delete", model, async () => {
          if ((await confirmed(model.name)) && (await act(place, "DELETE", path))) {
            find("models-title").focus();
          }
        }),
      );
    }
    return buttons;
  }

  function row(model, current) {
    const line = make("li");
    const words = make("div", "words");
    const isCurrent = model.name === current;
    words.append(make("strong", "", model.name));
    if (isCurrent) {
      words.append(" ", make("span", "badge", text("in_use")));
    }
    words.append(make("span", "note", notesOf(model)));
    if (model.error) {
      const wrong = make("span", "note wrong", model.error);
      // The app itself speaks English.
      wrong.lang = "en";
      words.append(wrong);
    }
    line.append(words, buttonsOf(model, isCurrent));
    return line;
  }

  function fillSuggestions(suggestions) {
    const select = find("suggestion");
    const now = JSON.stringify(suggestions);
    // A choice that the user has begun stays.
    if (now === suggested || select.value) {
      return;
    }
    suggested = now;
    select.replaceChildren(new Option(text("suggestion_none"), ""));
    for (const one of suggestions) {
      const notes = [text("needs", { memory: number(one.memory_gb) }), ...fitOf(one)];
      select.append(new Option(`${one.name} (${notes.join(" · ")})`, one.url));
    }
  }

  find("suggestion").addEventListener("change", () => {
    find("model-url").value = find("suggestion").value;
    find("model-name").value = nameIn(find("suggestion").value);
  });
  find("model-url").addEventListener("change", () => {
    find("model-name").value ||= nameIn(find("model-url").value);
  });
  find("model-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = find("model-name").value.trim();
    const body = { name, url: find("model-url").value.trim() };
    tell(find("added"), null);
    if (await act(find("form-problem"), "POST", "models", body)) {
      find("model-form").reset();
      find("add-model").open = false;
      tell(find("added"), text("added", { name }));
    }
  });

  return {
    /* Show the models; drawn again only when they change, and the focus stays on its button. */
    show({ models, ignored, suggestions }, current) {
      fillSuggestions(suggestions);
      const now = JSON.stringify([models.map((one) => ({ ...one, download: null })), ignored, current]);
      if (now === shown) {
        return;
      }
      shown = now;
      const focused = document.activeElement?.dataset.action;
      find("models").replaceChildren(...models.map((one) => row(one, current)));
      showIgnored(ignored);
      if (focused) {
        const same = [...find("models").querySelectorAll("button")].find((one) => one.dataset.action === focused);
        (same ?? find("models-title")).focus();
      }
    },
  };
}
