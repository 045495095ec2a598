/* The models: which there are, and what can be done with them. */

import { call } from "./client.js";
import { bytes, SUGGESTIONS, text } from "./texts.js";

const find = (id) => document.getElementById(id);

/* Make the list and its form work; what goes wrong is told by `showProblem`. */
export function modelList(showProblem) {
  let shown = "";

  async function act(method, path, body) {
    try {
      await call(method, path, body);
      shown = "";
      return true;
    } catch (error) {
      showProblem(error.message);
      return false;
    }
  }

  function button(key, action) {
    const made = document.createElement("button");
    made.className = "quiet";
    made.textContent = text(key);
    made.addEventListener("click", action);
    return made;
  }

  function row(model, current) {
    const line = document.createElement("li");
    const name = document.createElement("strong");
    const note = document.createElement("span");
    name.textContent = model.name;
    const state = model.state === "ready" && model.memory !== "unloaded" ? model.memory : model.state;
    const words = [text(state === "downloading" ? "download" : state)];
    if (model.bytes) {
      words.push(bytes(model.bytes));
    }
    note.className = "note";
    note.textContent = words.join(", ");
    line.append(name, note);
    if (model.error) {
      const wrong = document.createElement("span");
      wrong.className = "note wrong";
      wrong.textContent = model.error;
      line.append(wrong);
    }
    const path = `models/${encodeURIComponent(model.name)}`;
    if (model.state === "ready" && model.name !== current) {
      line.append(button("use", () => act("POST", `${path}/load`)));
    }
    if (model.can_delete) {
      line.append(
        button("delete", () => {
          if (confirm(text("delete_sure", { name: model.name }))) {
            act("DELETE", path);
          }
        }),
      );
    }
    return line;
  }

  const select = find("suggestion");
  select.append(new Option(text("suggestion_none"), ""));
  for (const [memory, name, url] of SUGGESTIONS) {
    const option = new Option(`${name} (${text("needs", { memory })})`, url);
    option.dataset.name = name;
    select.append(option);
  }
  select.addEventListener("change", () => {
    find("model-url").value = select.value;
    find("model-name").value = select.selectedOptions[0].dataset.name ?? "";
  });
  find("model-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { name: find("model-name").value.trim(), url: find("model-url").value.trim() };
    if (await act("POST", "models", body)) {
      find("model-form").reset();
    }
  });

  return {
    /* Show the models; only what has changed is drawn anew, so that buttons stay where they are. */
    show(models, current) {
      const now = JSON.stringify([models.map((one) => ({ ...one, download: null })), current]);
      if (now !== shown) {
        shown = now;
        find("models").replaceChildren(...models.map((one) => row(one, current)));
      }
    },
  };
}
