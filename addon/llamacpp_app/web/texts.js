/* The words of the page, in all its languages. */

const TEXTS = {
  en: {
    add_model: "Add a model",
    anew: "New conversation",
    cached: "Share of the prompts that was there already",
    chat: "Try it",
    delete: "Delete",
    delete_sure: "Delete the model {name} and its file?",
    download: "Download",
    downloads: "Downloads",
    download_state: "{name}: {done} of {total}, {speed}/s, {left} left",
    download_begins: "{name}: beginning",
    key_label: "The app's key (option api_key, or the file api_key in its data folder)",
    key_send: "Go on",
    last_hour: "The last hour",
    loaded: "in memory",
    loading: "being loaded",
    log: "Log",
    message: "Say something",
    minutes: "{n} min",
    model_name: "Name",
    model_url: "Address that ends in .gguf, or owner/repository:file.gguf",
    models: "Models",
    needs: "needs {memory}",
    no_answer: "The app does not answer. Is it running?",
    no_samples: "Nothing yet",
    ready: "on disk",
    seconds: "{n} s",
    send: "Send",
    sleeping: "sleeping",
    speed: "Generated tokens per second",
    status_downloading: "Downloading a model",
    status_error: "There is a problem",
    status_loading: "Loading the model",
    status_ok: "Ready: {model}",
    stop: "Stop",
    suggestion: "Suggestions",
    suggestion_none: "Another one",
    failed: "failed",
    use: "Use",
    waiting: "waits for its download",
    wrong_key: "This is not the app's key.",
  },
  it: {
    add_model: "Aggiungi un modello",
    anew: "Nuova conversazione",
    cached: "Parte dei prompt che c'era già",
    chat: "Provalo",
    delete: "Elimina",
    delete_sure: "Eliminare il modello {name} e il suo file?",
    download: "Scarica",
    downloads: "Download",
    download_state: "{name}: {done} di {total}, {speed}/s, mancano {left}",
    download_begins: "{name}: inizia",
    key_label: "La chiave dell'app (opzione api_key, o il file api_key nella sua cartella dei dati)",
    key_send: "Avanti",
    last_hour: "L'ultima ora",
    loaded: "in memoria",
    loading: "in caricamento",
    log: "Registro",
    message: "Di' qualcosa",
    minutes: "{n} min",
    model_name: "Nome",
    model_url: "Indirizzo che finisce in .gguf, oppure proprietario/deposito:file.gguf",
    models: "Modelli",
    needs: "serve {memory}",
    no_answer: "L'app non risponde. È in funzione?",
    no_samples: "Ancora niente",
    ready: "su disco",
    seconds: "{n} s",
    send: "Invia",
    sleeping: "a riposo",
    speed: "Token generati al secondo",
    status_downloading: "Sto scaricando un modello",
    status_error: "C'è un problema",
    status_loading: "Sto caricando il modello",
    status_ok: "Pronto: {model}",
    stop: "Ferma",
    suggestion: "Suggerimenti",
    suggestion_none: "Un altro",
    failed: "non riuscito",
    use: "Usa",
    waiting: "aspetta il download",
    wrong_key: "Questa non è la chiave dell'app.",
  },
};

/* What fits into how much memory, with room for a context of 8192 tokens. */
export const SUGGESTIONS = [
  ["2 GB", "gemma-3-1b-it-Q4_K_M", "ggml-org/gemma-3-1b-it-GGUF:gemma-3-1b-it-Q4_K_M.gguf"],
  ["2 GB", "Qwen3-0.6B-Q8_0", "unsloth/Qwen3-0.6B-GGUF:Qwen3-0.6B-Q8_0.gguf"],
  ["3 GB", "Qwen3.5-2B-Q4_K_M", "unsloth/Qwen3.5-2B-GGUF:Qwen3.5-2B-Q4_K_M.gguf"],
  ["4 GB", "Llama-3.2-3B-Instruct-Q4_K_M", "unsloth/Llama-3.2-3B-Instruct-GGUF:Llama-3.2-3B-Instruct-Q4_K_M.gguf"],
  ["5 GB", "Qwen3-4B-Instruct-2507-Q4_K_M", "unsloth/Qwen3-4B-Instruct-2507-GGUF:Qwen3-4B-Instruct-2507-Q4_K_M.gguf"],
  ["5 GB", "Qwen3.5-4B-Q4_K_M", "unsloth/Qwen3.5-4B-GGUF:Qwen3.5-4B-Q4_K_M.gguf"],
  ["8 GB", "Qwen3-8B-Q4_K_M", "unsloth/Qwen3-8B-GGUF:Qwen3-8B-Q4_K_M.gguf"],
  ["8 GB", "gemma-4-E4B-it-Q4_K_M", "unsloth/gemma-4-E4B-it-GGUF:gemma-4-E4B-it-Q4_K_M.gguf"],
  ["16 GB", "gpt-oss-20b-Q4_K_M", "unsloth/gpt-oss-20b-GGUF:gpt-oss-20b-Q4_K_M.gguf"],
];

export const language = navigator.languages.map((one) => one.slice(0, 2)).find((one) => one in TEXTS) ?? "en";

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
