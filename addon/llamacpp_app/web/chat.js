/* A conversation with the model. */

import { call, events } from "./client.js";
import { text } from "./texts.js";

const find = (id) => document.getElementById(id);

/* Make the box work. */
export function chatBox() {
  let conversation = null;
  let controller = null;

  find("message").ariaLabel = find("message").placeholder = text("message");

  function add(kind) {
    const line = document.createElement("p");
    line.className = kind;
    find("messages").append(line);
    return line;
  }

  async function ask(message) {
    add("user").textContent = message;
    const answer = add("assistant");
    controller = new AbortController();
    busy(true);
    try {
      conversation ??= (await call("POST", "conversation/start", {})).conversation_id;
      const path = `conversation/${conversation}/message`;
      for await (const [name, data] of events(path, { message }, controller.signal)) {
        if (name === "delta") {
          answer.textContent += data.delta;
        } else if (name === "error") {
          throw new Error(data.error.message);
        }
        find("messages").scrollTop = find("messages").scrollHeight;
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        const note = document.createElement("span");
        note.className = "note wrong";
        note.textContent = error.message;
        answer.append(note);
        if (error.code === "unknown_conversation") {
          conversation = null;
        }
      }
    } finally {
      busy(false);
    }
  }

  function busy(is) {
    find("send").disabled = is;
    find("stop").hidden = !is;
  }

  find("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const message = find("message").value.trim();
    if (message && !find("send").disabled) {
      find("message").value = "";
      ask(message);
    }
  });
  find("message").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      find("chat-form").requestSubmit();
    }
  });
  find("stop").addEventListener("click", () => controller?.abort());
  find("anew").addEventListener("click", () => {
    controller?.abort();
    conversation = null;
    find("messages").replaceChildren();
  });
}
