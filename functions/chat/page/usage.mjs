// The usage page: what a key may do, what is left of its limits and what it has used.

import { html, nothing, render, svg } from "./lit-html.js";
import { Account, byModel, bySpan } from "./account.mjs";
import { chart } from "./chart.mjs";
import { keyForm, titleOf } from "./parts.mjs";
import { amount, clock, dayOf, duration, momentOf, money } from "./texts.mjs";

const SPANS = { 7: "7 days", 30: "30 days", 90: "90 days", 365: "A year" };
const OUTCOMES = { cut: "cut", error: "failed", timeout: "timed out", refused: "refused" };

const $ = (id) => document.getElementById(id);
const account = new Account(draw);
let chosen = null; // the index of the bar that is described; null is the last

// What is shown

function draw() {
  const { info, infoError, isLoading, loadedAt } = account;
  render(content(), $("content"));
  $("content").setAttribute("aria-busy", isLoading);
  for (const id of ["refresh", "other"]) $(id).hidden = !info;
  $("refresh").disabled = isLoading;
  $("as-of").textContent = info ? `As of ${clock(loadedAt)}` : "";
  const form = $("content").querySelector(".key input");
  if (form && !isLoading) form.focus(); // nothing else helps where a key is missing
  if (isLoading) return;
  const said = info ? `${info.name}, as of ${clock(loadedAt)}.` : account.key ? infoError.message : "";
  if ($("status").textContent !== said) $("status").textContent = said;
}

function content() {
  const { info, infoError } = account;
  if (infoError?.code === "not_configured") return notice("No key is needed here", infoError.message);
  if (infoError) return failed();
  if (!info) return html`<p class="waiting"><span class="pulse">Loading…</span></p>`;
  return html`${about(info)}${limits(info)}${usage()}`;
}

function failed() {
  const { infoError, key } = account;
  const needsKey = infoError.status === 401;
  return html`<section class=${needsKey && !key ? "problem calm" : "problem"} aria-label="Problem">
    <h2>${titleOf(infoError, key)}</h2>
    <p>${needsKey && !key ? "With it, this page shows what the key may do, what is left of its limits and what it has used." : infoError.message}</p>
    ${needsKey ? keyForm((sent) => account.use(sent)) : retry()}
  </section>`;
}

function notice(title, text) {
  return html`<section class="problem calm" aria-label="Notice"><h2>${title}</h2><p>${text}</p></section>`;
}

function retry() {
  return html`<div class="actions"><button type="button" @click=${() => account.load()}>Retry</button></div>`;
}

function about({ id, name, models, created_at: created, expires_at: expires, replaced_at: replaced }) {
  return html`<section class="about" aria-labelledby="name">
    <h2 id="name">${name}</h2>
    <p class="quiet"><code>${id}</code></p>
    ${replaced ? html`<p class="warning">This key has been replaced: this text of it works until ${momentOf(replaced)}.</p>` : nothing}
    <dl>
      <div><dt>Models</dt><dd>${models.length ? models.join(", ") : "None that is served here"}</dd></div>
      ${created ? html`<div><dt>Created</dt><dd>${momentOf(created)}</dd></div>` : nothing}
      <div><dt>Expires</dt><dd>${expires ? momentOf(expires) : "Never"}</dd></div>
    </dl>
  </section>`;
}

function limits({ limits }) {
  const { budget, requests_per_minute: requests, tokens_per_minute: tokens, concurrent_requests: concurrent } = limits;
  const shown = [
    budget && limit(`Budget of tokens${budget.period ? `, by the ${budget.period}` : ""}`, budget, resetOf(budget)),
    requests && limit("Requests a minute", requests, freeOf(requests)),
    tokens && limit("Tokens a minute", tokens, freeOf(tokens)),
    concurrent && limit("Requests at a time", concurrent, `${amount(concurrent.used)} running`),
  ].filter(Boolean);
  return html`<section aria-labelledby="limits">
    <h2 id="limits">What is left</h2>
    ${shown.length ? html`<ul class="limits">${shown}</ul>` : html`<p class="quiet">This key has no limits.</p>`}
  </section>`;
}

function limit(title, { limit, remaining }, note) {
  const share = limit ? (remaining / limit) * 100 : 0;
  return html`<li class=${remaining ? "" : "spent"}>
    <h3>${title}</h3>
    <p><strong>${amount(remaining)}</strong> of ${amount(limit)} left</p>
    <svg class="bar" aria-hidden="true"><rect width="100%" height="100%"/>${
      remaining ? svg`<rect class="left" width="${Math.max(share, 1)}%" height="100%"/>` : nothing
    }</svg>
    <p class="quiet">${note}</p>
  </li>`;
}

function resetOf({ period, resets_at: at, timezone }) {
  return period ? `Resets on ${momentOf(at, timezone)}` : "For the key's whole life: it does not reset";
}

function freeOf({ used, resets_in_s: seconds }) {
  return used ? `All of it again in ${duration(seconds)}` : "Nothing used";
}

function usage() {
  const { usage, usageError, days, isLoading } = account;
  const option = ([value, text]) => html`<option value=${value} ?selected=${Number(value) === days}>${text}</option>`;
  function change({ currentTarget }) {
    account.days = Number(currentTarget.value);
    chosen = null;
    account.load();
  }
  const shown = usage ? (usage.data.length ? used(usage) : html`<p class="quiet">No requests in this time.</p>`) : nothing;
  return html`<section aria-labelledby="used">
    <header>
      <h2 id="used">What it has used</h2>
      <label><span class="unseen">In the last</span>
        <select @change=${change} ?disabled=${isLoading}>${Object.entries(SPANS).map(option)}</select></label>
    </header>
    ${usageError ? unknown(usageError) : shown}
  </section>`;
}

function unknown(error) {
  if (error.code === "not_configured") return html`<p class="quiet">${error.message}</p>`;
  return html`<div class="problem"><h3>${titleOf(error, account.key)}</h3><p>${error.message}</p>${retry()}</div>`;
}

function used(usage) {
  const spans = bySpan(usage);
  const at = Math.min(chosen ?? spans.length - 1, spans.length - 1);
  function choose(other) {
    if (other === at) return;
    chosen = other;
    draw();
  }
  return html`${totals(usage.total)}${chart(spans, at, choose)}
    ${table("By model", "Model", byModel(usage).map((row) => [row.model ?? "No model", row]))}
    <details><summary>By day</summary>${table("By day of UTC", "Day", byDay(usage))}</details>`;
}

function byDay({ data }) {
  const several = new Set(data.map(({ model }) => model)).size > 1;
  const name = ({ date, model }) => dayOf(Date.parse(date)) + (several ? `, ${model ?? "no model"}` : "");
  return data.map((row) => [name(row), row]).reverse();
}

function totals({ requests, prompt_tokens: prompt, cached_tokens: cached, completion_tokens: completion, cost, ...rest }) {
  const others = Object.entries(OUTCOMES).filter(([name]) => rest[name]);
  const fact = (title, value, note = "") =>
    html`<div><dt>${title}</dt><dd>${value}${note ? html` <small>${note}</small>` : nothing}</dd></div>`;
  return html`<dl class="totals">
    ${fact("Requests", amount(requests), others.map(([name, text]) => `${amount(rest[name])} ${text}`).join(", "))}
    ${fact("Tokens in", amount(prompt), cached ? `${amount(cached)} cached` : "")}
    ${fact("Tokens out", amount(completion))}
    ${cost ? fact("Cost", money(cost)) : nothing}
  </dl>`;
}

/** Return a table of [name, amounts]. */
function table(caption, first, rows) {
  const hasCost = rows.some(([, { cost }]) => cost);
  const titles = ["Requests", "Tokens in", "Cached", "Tokens out", ...(hasCost ? ["Cost"] : [])];
  const cells = ({ requests, prompt_tokens: prompt, cached_tokens: cached, completion_tokens: completion, cost }) => [
    ...[requests, prompt, cached, completion].map((value) => amount(value)),
    ...(hasCost ? [money(cost)] : []),
  ];
  return html`<div class="table" tabindex="0" role="region" aria-label=${caption}><table>
    <thead><tr><th scope="col">${first}</th>${titles.map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
    <tbody>${rows.map(
      ([name, row]) => html`<tr><th scope="row">${name}</th>${cells(row).map((cell) => html`<td>${cell}</td>`)}</tr>`,
    )}</tbody>
  </table></div>`;
}

// What people do

$("refresh").addEventListener("click", () => account.load());
$("other").addEventListener("click", () => {
  chosen = null;
  account.use("");
});

$("content").replaceChildren();
account.load();
