/* Card of House Llama: the conversations of whoever is signed in, to read, continue and close. */

const TEXTS = {
  en: {
    agent: "Agent (empty: the preferred assistant's)",
    answer: "Answer",
    back: "All conversations",
    close: "Close conversation",
    closed: "Closed: it can be read, but not continued.",
    description: "Your conversations with House Llama, to read and continue",
    empty: "No conversations yet. Say something to begin one.",
    lost: "The connection to Home Assistant was lost. Say it again when it is back.",
    message: "Message to House Llama",
    missing: "No House Llama agent is available. Look at the integration in Settings.",
    new: "New conversation",
    rows: "Number of conversations",
    rows_wrong: "The number of conversations must be between 1 and 20.",
    send: "Send",
    speed: "{speed} tokens/s",
    stop: "Stop",
    stopped: "Stopped. House Llama does not remember this message.",
    title: "Title",
    tokens: "Prompt: {prompt} tokens, {cached} of them from the cache. Answer: {answer} tokens",
    unknown: "Something went wrong. Home Assistant's log tells more.",
    untitled: "Without a title",
    you: "You",
  },
  it: {
    agent: "Agente (vuoto: quello dell'assistente preferito)",
    answer: "Risposta",
    back: "Tutte le conversazioni",
    close: "Chiudi la conversazione",
    closed: "Chiusa: si può leggere, ma non continuare.",
    description: "Le tue conversazioni con House Llama, da leggere e continuare",
    empty: "Ancora nessuna conversazione. Di' qualcosa per iniziarne una.",
    lost: "Il collegamento a Home Assistant si è interrotto. Ripeti il messaggio quando torna.",
    message: "Messaggio a House Llama",
    missing: "Nessun agente di House Llama è disponibile. Guarda l'integrazione nelle impostazioni.",
    new: "Nuova conversazione",
    rows: "Numero di conversazioni",
    rows_wrong: "Il numero di conversazioni deve essere tra 1 e 20.",
    send: "Invia",
    speed: "{speed} token/s",
    stop: "Ferma",
    stopped: "Fermata. House Llama non ricorda questo messaggio.",
    title: "Titolo",
    tokens: "Prompt: {prompt} token, di cui {cached} dalla cache. Risposta: {answer} token",
    unknown: "Qualcosa è andato storto. Il registro di Home Assistant dice di più.",
    untitled: "Senza titolo",
    you: "Tu",
  },
};

const DOMAIN = "llamacpp";
const NAME = "House Llama";
const DEFAULT_ROWS = 5;
const MAX_ROWS = 20;
const MAX_CHARACTERS = 32000;

const STYLE = `
  :host { display: block; height: 100%; }
  ha-card { display: flex; flex-direction: column; height: 100%; padding: 12px 16px 16px; box-sizing: border-box; }
  header { display: flex; align-items: center; gap: 4px; min-height: 40px; }
  h2 {
    flex: 1; min-width: 0; margin: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
    font-size: var(--ha-card-header-font-size, 1.25rem); font-weight: var(--ha-font-weight-normal, 400);
    color: var(--ha-card-header-color, var(--primary-text-color));
  }
  button {
    font: inherit; color: var(--primary-text-color); background: none; cursor: pointer;
    border: 1px solid transparent; border-radius: 8px; min-width: 40px; min-height: 40px; padding: 4px 8px;
  }
  button:hover, .conversation:hover { background: var(--secondary-background-color); }
  :focus-visible { outline: 2px solid var(--primary-color); outline-offset: 1px; }
  ul { list-style: none; margin: 4px 0 8px; padding: 0; }
  .conversation { display: block; width: 100%; text-align: start; padding: 8px; }
  .conversation span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .note { font-size: 0.85rem; color: var(--secondary-text-color); }
  p.note, p.problem { margin: 4px 0; }
  .problem:not(:empty) {
    color: var(--primary-text-color); border-inline-start: 4px solid var(--error-color); padding-inline-start: 8px;
  }
  .messages { flex: 1; min-height: 0; max-height: 24rem; overflow-y: auto; margin: 4px 0 8px; }
  .messages p { margin: 0 0 8px; white-space: pre-wrap; overflow-wrap: anywhere; color: var(--primary-text-color); }
  .messages .user { padding: 8px 12px; border-radius: 12px; background: var(--secondary-background-color); }
  .messages .note { color: var(--secondary-text-color); }
  .pending::after { content: "…"; color: var(--secondary-text-color); }
  form { display: flex; align-items: end; gap: 4px; }
  textarea {
    flex: 1; min-width: 0; font: inherit; resize: none; box-sizing: border-box; padding: 8px 12px;
    color: var(--primary-text-color); background: var(--card-background-color);
    border: 1px solid var(--divider-color); border-radius: 8px; field-sizing: content; max-height: 8rem;
  }
  .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  [hidden] { display: none !important; }
`;

/* Return a text in a language, else in English, with its placeholders filled in. */
function textIn(language, key, values = {}) {
  const known = TEXTS[language] ?? TEXTS[language?.split("-")[0]] ?? TEXTS.en;
  return known[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function make(tag, className = "", words = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = words;
  return made;
}

// While they start, Home Assistant's pages replace HTMLElement and the registry: what is defined before is lost.
await Promise.race(["home-assistant", "hc-main"].map((one) => customElements.whenDefined(one)));

class HouseLlamaCard extends HTMLElement {
  static getStubConfig() {
    return { rows: DEFAULT_ROWS };
  }

  static getConfigForm() {
    const language = document.documentElement.lang;
    const agents = { entity: { filter: { integration: DOMAIN, domain: "conversation" } } };
    return {
      schema: [
        { name: "title", selector: { text: {} } },
        { name: "agent", selector: agents },
        { name: "rows", default: DEFAULT_ROWS, selector: { number: { min: 1, max: MAX_ROWS, mode: "box" } } },
      ],
      computeLabel: (field) => textIn(language, field.name),
    };
  }

  constructor() {
    super();
    this._config = {};
    this._conversations = [];
    // The conversation that is open: its id is null until it has begun. None: the list is shown.
    this._open = null;
    // Ends the answer in progress.
    this._end = null;
    this._lost = () => this._finish(this._text("lost"));
  }

  setConfig(config) {
    const rows = config.rows ?? DEFAULT_ROWS;
    if (!(Number.isInteger(rows) && rows >= 1 && rows <= MAX_ROWS)) {
      throw new Error(this._text("rows_wrong"));
    }
    this._config = { ...config, rows };
    if (this._hass) {
      this._show();
      this._load();
    }
  }

  set hass(hass) {
    const before = this._hass;
    this._hass = hass;
    if (!before) {
      this._build();
      hass.loadBackendTranslation("exceptions", DOMAIN);
    }
    if (before?.language !== hass.language) {
      this._show();
    }
    // The state of an agent is when it was asked last.
    const asked = JSON.stringify(this._agents().map((one) => hass.states[one]?.state));
    if (asked !== this._asked) {
      this._asked = asked;
      this._load();
    }
  }

  getCardSize() {
    return 2 + this._config.rows;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6, rows: "auto" };
  }

  connectedCallback() {
    if (this._hass) {
      this._load();
    }
  }

  _text(key, values) {
    return textIn(this._hass?.language ?? document.documentElement.lang, key, values);
  }

  _agents() {
    return Object.values(this._hass.entities)
      .filter((one) => one.platform === DOMAIN && one.entity_id.startsWith("conversation."))
      .map((one) => one.entity_id);
  }

  _build() {
    const root = this.attachShadow({ mode: "open" });
    const button = (icon, action) => {
      const made = make("button");
      const image = document.createElement("ha-icon");
      image.icon = icon;
      made.type = "button";
      made.append(image);
      made.addEventListener("click", action);
      return made;
    };
    const form = make("form");
    const field = make("textarea");
    this._parts = {
      back: button("mdi:arrow-left", () => this._leave()),
      heading: make("h2"),
      close: button("mdi:archive-check-outline", () => this._close()),
      new: button("mdi:plus", () => this._enter({ id: null, title: this._text("new") })),
      list: make("ul"),
      note: make("p", "note"),
      problem: make("p", "problem"),
      messages: make("div", "messages"),
      form,
      field,
      send: button("mdi:send", () => form.requestSubmit()),
      stop: button("mdi:stop", () => this._end && this._finish(this._text("stopped"), "note")),
    };
    const { back, heading, close, new: anew, list, note, problem, messages, send, stop } = this._parts;
    problem.setAttribute("role", "alert");
    note.setAttribute("role", "status");
    messages.setAttribute("role", "log");
    messages.tabIndex = 0;
    field.rows = 1;
    field.maxLength = MAX_CHARACTERS;
    form.append(field, send, stop);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    field.addEventListener("keydown", (event) => {
      // Keys are for the message, not for Home Assistant's shortcuts.
      event.stopPropagation();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    const header = make("header");
    header.append(back, heading, close, anew);
    const card = document.createElement("ha-card");
    card.append(header, list, messages, note, problem, form);
    root.append(make("style", "", STYLE), card);
  }

  /* Show the list, or the conversation that is open, in the user's language. */
  _show() {
    const parts = this._parts;
    const open = this._open;
    const hasAgents = this._agents().length > 0;
    for (const [name, key] of Object.entries({ back: "back", close: "close", new: "new", send: "send", stop: "stop" })) {
      parts[name].ariaLabel = parts[name].title = this._text(key);
    }
    parts.field.ariaLabel = parts.field.placeholder = this._text("message");
    parts.heading.textContent = open ? open.title : (this._config.title ?? NAME);
    parts.messages.ariaLabel = parts.heading.textContent;
    parts.back.hidden = parts.messages.hidden = !open;
    parts.list.hidden = Boolean(open);
    parts.new.hidden = Boolean(open) || !hasAgents;
    parts.close.hidden = !open?.id || open.closed || Boolean(this._end);
    parts.form.hidden = Boolean(open?.closed) || !hasAgents;
    parts.send.hidden = Boolean(this._end);
    parts.stop.hidden = !this._end;
    const notes = { closed: open?.closed, missing: !hasAgents, empty: !open && !this._conversations.length };
    const key = Object.keys(notes).find((one) => notes[one]);
    parts.note.textContent = key ? this._text(key) : "";
    parts.list.replaceChildren(...this._conversations.map((one) => this._row(one)));
  }

  _row(one) {
    const { language } = this._hass;
    const time = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
    const title = one.title ?? this._text("untitled");
    const agent = this._hass.states[one.agent]?.attributes.friendly_name ?? one.agent;
    const button = make("button", "conversation");
    const about = [time.format(new Date(one.updated)), agent].filter(Boolean).join(" · ");
    button.type = "button";
    button.append(make("span", "", title), make("span", "note", about));
    button.addEventListener("click", () =>
      this._enter({ id: one.conversation_id, title, agent: one.agent, closed: one.closed }),
    );
    const row = make("li");
    row.append(button);
    return row;
  }

  _tell(problem) {
    this._parts.problem.textContent = problem ?? "";
  }

  /* Return what went wrong as a sentence for the user. */
  _explain(error) {
    const key = error.translation_domain === DOMAIN && error.translation_key;
    const path = `component.${DOMAIN}.exceptions.${key}.message`;
    const told = key && this._hass.localize(path, error.translation_placeholders ?? {});
    return told || error.message || this._text(typeof error === "number" ? "lost" : "unknown");
  }

  async _act(service, data) {
    const answer = await this._hass.callWS({
      type: "call_service",
      domain: DOMAIN,
      service,
      service_data: data,
      return_response: true,
    });
    return answer.response;
  }

  async _load() {
    const { agent, rows } = this._config;
    if (!this._agents().length) {
      this._conversations = [];
      this._show();
      return;
    }
    try {
      const found = await this._act("list", { mine: true, limit: rows, ...(agent && { agent }) });
      this._conversations = found.conversations;
      if (!this._open) {
        this._tell(null);
      }
    } catch (error) {
      this._tell(this._explain(error));
    }
    this._show();
  }

  async _enter(conversation) {
    this._open = conversation;
    this._parts.messages.replaceChildren();
    this._tell(null);
    this._show();
    if (!conversation.id) {
      this._parts.field.focus();
      return;
    }
    try {
      const { messages } = await this._act("history", { conversation_id: conversation.id });
      if (this._open === conversation) {
        for (const one of messages) {
          if (one.content && (one.role === "user" || one.role === "assistant")) {
            this._add(one.role, one.content);
          }
        }
      }
    } catch (error) {
      this._tell(this._explain(error));
    }
  }

  _leave() {
    if (this._end) {
      this._finish(null);
    }
    this._open = null;
    this._tell(null);
    this._show();
    this._load();
  }

  async _close() {
    try {
      await this._act("close", { conversation_id: this._open.id });
      this._leave();
    } catch (error) {
      this._tell(this._explain(error));
    }
  }

  /* Add a message; return its element. */
  _add(kind, words) {
    const { messages } = this._parts;
    const line = make("p", kind);
    if (kind === "user" || kind === "assistant") {
      line.append(make("span", "unseen", `${this._text(kind === "user" ? "you" : "answer")}: `));
    }
    line.append(words);
    messages.append(line);
    messages.scrollTop = messages.scrollHeight;
    return line;
  }

  _submit() {
    const message = this._parts.field.value.trim();
    if (!message || this._end) {
      return;
    }
    this._parts.field.value = "";
    this._open ??= { id: null };
    if (!this._open.id) {
      this._open.title = message;
    }
    this._tell(null);
    this._add("user", message);
    this._ask(message);
  }

  async _ask(message) {
    const open = this._open;
    const { connection, language } = this._hass;
    let line = this._add("assistant", "");
    let isBegun = false;
    line.classList.add("pending");
    // Until it is subscribed, there is nothing to end.
    let unsubscribe = null;
    const mine = (this._end = () => {
      line.classList.remove("pending");
      if (!isBegun) {
        line.remove();
      }
      connection.removeEventListener("disconnected", this._lost);
      // A connection that is gone has ended it.
      unsubscribe?.().catch(() => {});
    });
    connection.addEventListener("disconnected", this._lost);
    this._show();
    const hear = (event) => {
      if (this._end !== mine) {
        return;
      }
      if (event.type === "end") {
        if (!isBegun && !event.error) {
          line.append(event.speech);
          isBegun = true;
        }
        open.id = event.conversation_id ?? open.id;
        this._finish(event.error ? event.speech : null);
        this._tellUsage(event.usage);
      } else if (event.role) {
        if (isBegun) {
          line.classList.remove("pending");
          line = this._add("assistant", "");
          isBegun = false;
          line.classList.add("pending");
        }
      } else {
        isBegun = true;
        line.append(event.content);
        this._parts.messages.scrollTop = this._parts.messages.scrollHeight;
      }
    };
    try {
      // A message must not be sent again when the connection is back.
      const ended = await connection.subscribeMessage(
        hear,
        {
          type: `${DOMAIN}/converse`,
          message,
          language,
          conversation_id: open.id,
          agent: open.agent ?? this._config.agent ?? null,
        },
        { resubscribe: false },
      );
      if (this._end === mine) {
        unsubscribe = ended;
      } else {
        ended().catch(() => {});
      }
    } catch (error) {
      if (this._end === mine) {
        this._finish(this._explain(error));
        this._parts.field.value ||= message;
      }
    }
  }

  /* End the answer in progress, with a sentence on why it is not complete. */
  _finish(sentence, kind = "problem") {
    const end = this._end;
    this._end = null;
    end();
    if (sentence) {
      this._add(kind, sentence);
    }
    this._show();
    this._load();
  }

  _tellUsage(usage) {
    if (!usage) {
      return;
    }
    const number = new Intl.NumberFormat(this._hass.language, { maximumFractionDigits: 1 });
    const told = this._text("tokens", {
      prompt: number.format(usage.prompt_tokens),
      cached: number.format(usage.cached_tokens ?? 0),
      answer: number.format(usage.completion_tokens),
    });
    const speed = usage.tokens_per_second;
    this._add("note", speed ? `${told}, ${this._text("speed", { speed: number.format(speed) })}` : told);
  }
}

if (!customElements.get("house-llama-card")) {
  customElements.define("house-llama-card", HouseLlamaCard);
  window.customCards ??= [];
  window.customCards.push({
    type: "house-llama-card",
    name: NAME,
    description: textIn(document.documentElement.lang, "description"),
    documentationURL:
      "https://github.com/llamacpp-home-assistant/llamacpp-home-assistant/blob/main/docs/card.md",
  });
}
