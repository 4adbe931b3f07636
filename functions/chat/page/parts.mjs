// What pages show alike: what went wrong, and the form for a key.

import { html } from "./lit-html.js";

// What an error is about, by its code, else by its status; its message says the rest.
const TITLES = {
  model_warming: "The model is starting",
  rate_limit_exceeded: "Too many requests",
  insufficient_quota: "The budget of this key is used up",
  server_is_overloaded: "The model is busy",
  model_not_found: "There is no such model",
  model_not_allowed: "This key may not use this model",
  401: "An API key is needed",
  403: "This is not allowed",
  413: "The conversation is too long to be sent",
  503: "The service is not ready",
};

/** Return what an error is about; `key` is the one that was sent. */
export function titleOf(error, key) {
  if (error.status === 401 && key) return "This API key is not accepted";
  return TITLES[error.code] ?? TITLES[error.status] ?? "This did not work";
}

/** Return a form that takes a key and hands it to `use`. */
export function keyForm(use) {
  function submit(event) {
    event.preventDefault();
    use(event.currentTarget.elements.key.value.trim());
  }
  return html`<form class="key" @submit=${submit}>
    <label>API key <input name="key" type="password" autocomplete="off" spellcheck="false" required></label>
    <button type="submit">Use key</button>
    <p>Only this page has the key, and only until it is closed or loaded again.</p>
  </form>`;
}
