/* A conversation with the model. */

import { ApiError, call, events } from "./client.js";
import { find, make, tell } from "./elements.js";
import { isAtHome } from "./home.js";
import { moment, number, text } from "./texts.js";

// The conversation that this tab has open, which a reload must not lose.
const OPEN = "llamacpp-conversation";
const MOST_EARLIER = 20;
const IDEAS = ["idea_1", "idea_2", "idea_3"];

/* Make the box work. Return what is told the tokens of the context, and what opens it again after a reload. */
export function chatBox() {
  const box = find("messages");
  const field = find("message");
  let talk = { id: null };
  let controller = null;
  let isRestored = false;
  // Tokens of the newest turn, and those that there may be.
  let used = null;
  let most = null;

  function showContext() {
    const isKnown = used !== null && most !== null;
    tell(find("chat-context"), isKnown ? text("context_used", { used: number(used), most: number(most) }) : null);
  }

  /* Go to a conversation, or to a new one, without what was shown. */
  function turnTo(id) {
    controller?.abort();
    talk = { id };
    used = null;
    box.replaceChildren();
    find("anew").hidden = !id;
    find("ideas").hidden = Boolean(id);
    keep(talk);
    showContext();
  }

  function keep(mine) {
    if (mine !== talk) {
      return;
    }
    if (mine.id) {
      sessionStorage.setItem(OPEN, mine.id);
    } else {
      sessionStorage.removeItem(OPEN);
    }
  }

  function count(tokens) {
    if (tokens?.prompt_tokens) {
      used = tokens.prompt_tokens + tokens.completion_tokens;
      showContext();
    }
  }

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
    keep(mine);
    for await (const [name, data] of events(`conversation/${mine.id}/message`, { message }, signal)) {
      if (name === "error") {
        throw new ApiError(data.error.code, data.error.message);
      }
      if (name === "delta") {
        answer.parentElement.classList.remove("pending");
        keepAtEnd(() => answer.append(data.delta));
      }
      if (name === "done" && mine === talk) {
        count(data.usage);
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
    find("ideas").hidden = true;
    busy(true);
    try {
      await listen(mine, message, answer, stopper.signal);
    } catch (error) {
      const isStopped = stopper.signal.aborted;
      const note = make("span", isStopped ? "note" : "note wrong", isStopped ? text("stopped") : error.message);
      keepAtEnd(() => line.append(note));
      if (error.code === "unknown_conversation") {
        mine.id = null;
        keep(mine);
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

  /* Show a stored conversation, to go on with. */
  async function open(id) {
    turnTo(id);
    const mine = talk;
    try {
      const { messages } = await call("GET", `conversation/${id}/history`);
      if (mine === talk) {
        for (const one of messages.filter(({ role }) => role !== "system")) {
          add(one.role, one.content);
          count(one);
        }
      }
    } catch (error) {
      if (mine === talk) {
        turnTo(null);
        add("assistant", "").append(make("span", "note wrong", error.message));
      }
    }
  }

  function row(one) {
    const button = make("button", "quiet", one.title);
    const line = make("li");
    button.type = "button";
    button.append(make("span", "note", moment(one.updated)));
    button.addEventListener("click", () => {
      find("earlier").open = false;
      open(one.conversation_id);
      field.focus();
    });
    line.append(button);
    return line;
  }

  async function showEarlier() {
    let words = text("earlier_none");
    let found = [];
    try {
      const { conversations } = await call("GET", `conversations?limit=${MOST_EARLIER}`);
      found = conversations.filter((one) => one.title);
    } catch (error) {
      words = error.message;
    }
    find("earlier-list").replaceChildren(...found.map(row));
    tell(find("earlier-none"), found.length ? null : words);
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
    turnTo(null);
    field.focus();
  });
  find("earlier").addEventListener("toggle", () => {
    if (find("earlier").open) {
      showEarlier();
    }
  });
  find("assist").hidden = !isAtHome;
  find("ideas").append(
    ...IDEAS.map((key) => {
      const button = make("button", "quiet", text(key));
      button.type = "button";
      button.addEventListener("click", () => ask(button.textContent));
      return button;
    }),
  );

  return {
    setContext(tokens) {
      most = tokens;
      showContext();
    },
    restore() {
      const id = sessionStorage.getItem(OPEN);
      if (id && !isRestored) {
        open(id);
      }
      isRestored = true;
    },
  };
}
