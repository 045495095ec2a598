/* The words of the page, in all its languages. */

import { homeLanguage } from "./home.js";

const TEXTS = {
  en: {
    access: "Key for other programs",
    access_hint: "Port 8080 speaks OpenAI's API, port 5000 that of conversations; both ask for this key. House Llama in Home Assistant has it already.",
    active: "Active conversations",
    add_model: "Add a model",
    added: "{name} is on the list, and is downloaded next.",
    anew: "New conversation",
    ask_key: "The app asks for its key",
    assist: "Voice assistants",
    assistant: "Model",
    cached: "Prompt tokens that needed no computing",
    cancel: "Cancel",
    card: "Graphics card",
    chat: "Chat",
    chat_hint: "Say something to the model. Enter sends, Shift and Enter begin a new line.",
    chat_scope: "This chat only talks to the model, which knows nothing of your home here. Your house answers in Assist.",
    computes: "Computes on",
    context: "Context",
    context_used: "This conversation takes {used} of {most} tokens.",
    copy: "Copy",
    delete: "Delete",
    delete_sure: "Delete the model {name} and its file?",
    download: "Download",
    download_begins: "It is about to begin",
    download_done: "{done} of {total}",
    download_left: "{left} left",
    downloads: "Downloads",
    earlier: "Earlier conversations",
    earlier_none: "There are none yet.",
    error_busy: "Too many are waiting for an answer: try again in a moment.",
    error_internal: "The app made a mistake. Its log tells more.",
    error_not_ready: "The model is not ready yet: try again in a moment.",
    error_timeout: "The answer took too long.",
    error_too_many_requests: "That was too often: wait a moment.",
    error_unauthorized: "This is not the app's key.",
    error_unknown_conversation: "This conversation is gone: say it again to begin a new one.",
    error_unknown_model: "There is no such model any more.",
    hour_ago: "an hour ago",
    idea_1: "Explain in two sentences how a heat pump works.",
    idea_2: "What could I cook with pumpkin and rice?",
    idea_3: "Write a short birthday greeting to a neighbour.",
    ignored: "Files that are not offered",
    in_use: "in use",
    key_copied: "The key is in the clipboard.",
    key_hint: "It is the option api_key or, if that is empty, in the file api_key of the app's data folder.",
    key_label: "Key",
    key_send: "Continue",
    keyless: "Ports without a key, within Home Assistant's network",
    last_hour: "The last hour",
    log: "Log",
    longest_context: "Trained for",
    memory: "Memory in use",
    message: "Message",
    minutes: "{n} min",
    model: "Model",
    model_downloading: "being downloaded",
    model_failed: "cannot be used",
    model_loaded: "in memory",
    model_loading: "being loaded",
    model_name: "Name",
    model_ready: "on disk",
    model_sleeping: "sleeping until the next message",
    model_url: "Address",
    model_url_hint: "An address that ends in .gguf, or owner/repository:Q4_K_M or owner/repository:file.gguf on Hugging Face.",
    model_waiting: "waits for its download",
    models: "Models",
    needs: "needs {memory} GB",
    no_answer: "The app does not answer. Look whether it is running.",
    no_samples: "nothing yet",
    now: "now",
    parameters: "{n} million parameters",
    processor: "the processor",
    seconds: "{n} s",
    send: "Send",
    session_over: "Home Assistant does not let this page in any more: load it again.",
    speed: "Generated tokens per second",
    status_again: "The model has stopped and is started again",
    status_downloading: "A model is being downloaded",
    status_error: "There is a problem",
    status_loading: "The model is being loaded",
    status_ok: "Ready",
    status_sleeping: "Ready: the model sleeps until the next message",
    stop: "Stop",
    stopped: "Stopped. The model does not remember this message.",
    suggestion: "Suggestions",
    suggestion_none: "Another model",
    tokens: "{n} tokens",
    use: "Use",
    user: "You",
    workers: "Further machines",
  },
  it: {
    access: "Chiave per altri programmi",
    access_hint: "La porta 8080 parla l'API di OpenAI, la porta 5000 quella delle conversazioni; entrambe chiedono questa chiave. House Llama in Home Assistant ce l'ha già.",
    active: "Conversazioni attive",
    add_model: "Aggiungi un modello",
    added: "{name} è nell'elenco e sarà scaricato.",
    anew: "Nuova conversazione",
    ask_key: "L'app chiede la sua chiave",
    assist: "Assistenti vocali",
    assistant: "Modello",
    cached: "Token dei prompt che non andavano calcolati",
    cancel: "Annulla",
    card: "Scheda grafica",
    chat: "Chat",
    chat_hint: "Di' qualcosa al modello. Invio manda il messaggio, Maiusc e Invio vanno a capo.",
    chat_scope: "Questa chat parla solo con il modello, che qui non sa nulla della tua casa. La casa risponde in Assist.",
    computes: "Calcola su",
    context: "Contesto",
    context_used: "Questa conversazione occupa {used} token su {most}.",
    copy: "Copia",
    delete: "Elimina",
    delete_sure: "Eliminare il modello {name} e il suo file?",
    download: "Scarica",
    download_begins: "Sta per iniziare",
    download_done: "{done} di {total}",
    download_left: "mancano {left}",
    downloads: "Download",
    earlier: "Conversazioni precedenti",
    earlier_none: "Ancora nessuna.",
    error_busy: "Troppi aspettano una risposta: riprova tra poco.",
    error_internal: "L'app ha commesso un errore. Il registro dice di più.",
    error_not_ready: "Il modello non è ancora pronto: riprova tra poco.",
    error_timeout: "La risposta ha richiesto troppo tempo.",
    error_too_many_requests: "Troppe richieste: aspetta un momento.",
    error_unauthorized: "Questa non è la chiave dell'app.",
    error_unknown_conversation: "Questa conversazione non c'è più: ripeti il messaggio per iniziarne una nuova.",
    error_unknown_model: "Questo modello non c'è più.",
    hour_ago: "un'ora fa",
    idea_1: "Spiega in due frasi come funziona una pompa di calore.",
    idea_2: "Che cosa posso cucinare con zucca e riso?",
    idea_3: "Scrivi un breve augurio di compleanno a un vicino.",
    ignored: "File non proposti",
    in_use: "in uso",
    key_copied: "La chiave è negli appunti.",
    key_hint: "È l'opzione api_key oppure, se è vuota, nel file api_key della cartella dei dati dell'app.",
    key_label: "Chiave",
    key_send: "Continua",
    keyless: "Porte senza chiave, nella rete di Home Assistant",
    last_hour: "L'ultima ora",
    log: "Registro",
    longest_context: "Addestrato per",
    memory: "Memoria in uso",
    message: "Messaggio",
    minutes: "{n} min",
    model: "Modello",
    model_downloading: "in download",
    model_failed: "non utilizzabile",
    model_loaded: "in memoria",
    model_loading: "in caricamento",
    model_name: "Nome",
    model_ready: "su disco",
    model_sleeping: "a riposo fino al prossimo messaggio",
    model_url: "Indirizzo",
    model_url_hint: "Un indirizzo che finisce in .gguf, oppure proprietario/repository:Q4_K_M o proprietario/repository:file.gguf su Hugging Face.",
    model_waiting: "aspetta il download",
    models: "Modelli",
    needs: "serve {memory} GB",
    no_answer: "L'app non risponde. Guarda se è in esecuzione.",
    no_samples: "ancora niente",
    now: "adesso",
    parameters: "{n} milioni di parametri",
    processor: "il processore",
    seconds: "{n} s",
    send: "Invia",
    session_over: "Home Assistant non fa più entrare questa pagina: ricaricala.",
    speed: "Token generati al secondo",
    status_again: "Il modello si è fermato e viene riavviato",
    status_downloading: "Un modello è in download",
    status_error: "C'è un problema",
    status_loading: "Il modello è in caricamento",
    status_ok: "Pronto",
    status_sleeping: "Pronto: il modello riposa fino al prossimo messaggio",
    stop: "Ferma",
    stopped: "Fermato. Il modello non ricorda questo messaggio.",
    suggestion: "Suggerimenti",
    suggestion_none: "Un altro modello",
    tokens: "{n} token",
    use: "Usa",
    user: "Tu",
    workers: "Altre macchine",
  },
};

/* What fits into how much memory, with room for a context of 8192 tokens. */
export const language =
  [homeLanguage, ...navigator.languages].map((one) => one.slice(0, 2)).find((one) => one in TEXTS) ?? "en";

/* Tell whether there is such a text. */
export function hasText(key) {
  return Object.hasOwn(TEXTS[language], key);
}

/* Return a text with its placeholders filled in. */
export function text(key, values = {}) {
  return (TEXTS[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/* Put the words where the page asks for them. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text(element.dataset.text);
  }
}

export function number(n) {
  return n.toLocaleString(language, { maximumFractionDigits: 1 });
}

/* Return a time, given in seconds, as a day and an hour. */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

export function percent(share) {
  return share.toLocaleString(language, { style: "percent", maximumFractionDigits: 0 });
}

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB"];
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, n)) / 3));
  const digits = power === 3 ? 1 : 0;
  return `${(n / 1000 ** power).toLocaleString(language, { maximumFractionDigits: digits })} ${units[power]}`;
}

export function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes > 1 ? text("minutes", { n: minutes }) : text("seconds", { n: Math.round(seconds) });
}
