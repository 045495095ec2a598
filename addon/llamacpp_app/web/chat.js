/* A conversation with the model. */

import { ApiError, call, events } from "./client.js";
import { find, make } from "./elements.js";
import { text } from "./texts.js";

/* Make the box work. */
export function chatBox() {
  const box = find("messages");
  const field = find("message");
  let talk = { id: null };
  let controller = null;

  function keepAtEnd(change) {
    const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 40;
    change();
    if (isAtEnd) {
      box.scrollTop = box.scrollHeight;
    }
  }

  /* Add a message; return the element of its words. */
  function add(kind, words) {
    const line = make("p", kind);
    const said = make("span", "", words);
    line.append(make("span", "unseen", `${text(kind)}: `), said);
    keepAtEnd(() => box.append(line));
    return said;
  }

  function busy(is) {
    find("send").hidden = is;
    find("stop").hidden = !is;
    // What comes is read aloud when it is complete.
    box.ariaBusy = String(is);
  }

  /* Have a message answered within a conversation, word by word. */
  async function listen(mine, message, answer, signal) {
    mine.id ??= (await call("POST", "conversation/start", {})).conversation_id;
    for await (const [name, data] of events(`conversation/${mine.id}/message`, { message }, signal)) {
      if (name === "error") {
        throw new ApiError(data.error.code, data.error.message);
      }
      if (name === "delta") {
        answer.parentElement.classList.remove("pending");
        keepAtEnd(() => answer.append(data.delta));
      }
    }
  }

  async function ask(message) {
    const mine = talk;
    const stopper = (controller = new AbortController());
    add("user", message);
    const answer = add("assistant", "");
    const line = answer.parentElement;
    line.classList.add("pending");
    find("anew").hidden = false;
    busy(true);
    try {
      await listen(mine, message, answer, stopper.signal);
    } catch (error) {
      const isStopped = stopper.signal.aborted;
      const note = make("span", isStopped ? "note" : "note wrong", isStopped ? text("stopped") : error.message);
      keepAtEnd(() => line.append(note));
      if (error.code === "unknown_conversation") {
        mine.id = null;
      }
      if (!isStopped && !field.value) {
        field.value = message;
      }
    } finally {
      line.classList.remove("pending");
      if (stopper === controller) {
        busy(false);
      }
    }
  }

  find("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const message = field.value.trim();
    if (message && !find("send").hidden) {
      field.value = "";
      ask(message);
    }
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      find("chat-form").requestSubmit();
    }
  });
  find("stop").addEventListener("click", () => {
    controller?.abort();
    field.focus();
  });
  find("anew").addEventListener("click", () => {
    controller?.abort();
    talk = { id: null };
    box.replaceChildren();
    find("anew").hidden = true;
    field.focus();
  });
}
