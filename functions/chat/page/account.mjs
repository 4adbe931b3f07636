// What the API knows of a key. Nothing here knows the page.

import { call } from "./api.mjs";

const DAY_MS = 86_400_000;
// Longer spans are shown by weeks.
const MOST_DAYS = 92;
const AMOUNTS = ["requests", "ok", "cut", "error", "timeout", "refused"];
const TOKENS = ["prompt_tokens", "cached_tokens", "completion_tokens", "cost"];

/** A key, what is left of its limits and what it has used; calls `changed` after each change. The key is kept here only. */
export class Account {
  key = "";
  days = 30;
  info = null; // of /v1/key
  usage = null; // of /v1/key/usage
  infoError = null;
  usageError = null;
  loadedAt = null;
  isLoading = false;
  #changed;
  #attempt = 0;

  constructor(changed) {
    this.#changed = changed;
  }

  /** Take another key, or none, and forget what was loaded for the one before. */
  use(key) {
    Object.assign(this, { key, info: null, usage: null, infoError: null, usageError: null });
    return this.load();
  }

  /** Load all of it again. Without a key, only whether one is needed. */
  async load() {
    const attempt = ++this.#attempt;
    this.isLoading = true;
    this.#changed();
    const paths = ["v1/key", ...(this.key ? [`v1/key/usage?days=${this.days}`] : [])];
    const [info, usage] = await Promise.allSettled(paths.map((path) => this.#get(path)));
    if (attempt !== this.#attempt) return; // another has been started
    this.isLoading = false;
    this.loadedAt = new Date();
    this.infoError = info.reason ?? null;
    this.usageError = usage?.reason ?? null;
    this.info = info.value ?? null;
    this.usage = usage?.value ?? null;
    this.#changed();
  }

  async #get(path) {
    return (await call(path, { key: this.key })).json();
  }
}

/** Return what was used by model, the most first. */
export function byModel({ data }) {
  const sums = Map.groupBy(data, ({ model }) => model);
  return [...sums].map(([model, rows]) => ({ model, ...sum(rows) })).sort((one, other) => tokens(other) - tokens(one));
}

/** Return what was used by day, or by week for a long span: every one of the span, {first, last, ...amounts}. */
export function bySpan({ data, since, until }) {
  const rows = Map.groupBy(data, ({ date }) => date);
  const [first, last] = [since, until].map((day) => Date.parse(day));
  const step = (last - first) / DAY_MS < MOST_DAYS ? 1 : 7;
  const spans = [];
  for (let end = last; end >= first; end -= step * DAY_MS) {
    const begin = Math.max(first, end - (step - 1) * DAY_MS);
    const days = [];
    for (let day = begin; day <= end; day += DAY_MS) days.push(...(rows.get(isoDay(day)) ?? []));
    spans.unshift({ first: begin, last: end, ...sum(days) });
  }
  return spans;
}

/** Return all tokens of a sum. */
export function tokens({ prompt_tokens, completion_tokens }) {
  return prompt_tokens + completion_tokens;
}

function sum(rows) {
  const add = (name) => [name, rows.reduce((total, row) => total + row[name], 0)];
  return Object.fromEntries([...AMOUNTS, ...TOKENS].map(add));
}

function isoDay(ms) {
  return new Date(ms).toISOString().slice(0, 10);
}
