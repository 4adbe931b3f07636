// The chat page: what of the conversation is shown, and what people do with it.

import { html, nothing, render } from "./lit-html.js";
import { Chat } from "./conversation.mjs";
import { blocksOf, codeBlock, copyButton } from "./markdown.mjs";
import { keyForm, titleOf } from "./parts.mjs";
import { curl, python } from "./snippets.mjs";

const EXAMPLES = [
  "Explain in a paragraph what happens when a browser opens a page.",
  "Write a Python function that counts the words of a text.",
  "Suggest three names for a small café by the sea.",
];
const LIMITED = ["insufficient_quota", "rate_limit_exceeded"];
const BASE = new URL("v1", document.baseURI).href;

const $ = (id) => document.getElementById(id);
const [conversation, message, snippets] = ["conversation", "message", "snippets"].map($);
const chat = new Chat(draw);
let editing = null;
let follows = true; // whether the end is in sight, and is to stay so
let lastTop = 0;
let isDrawn = true;

// What is shown

/** Show the state, once a frame. */
function draw() {
  if (isDrawn) requestAnimationFrame(drawNow);
  isDrawn = false;
}

function drawNow() {
  isDrawn = true;
  render(chat.turns.length || chat.modelsError ? turns() : welcome(), conversation);
  drawModels();
  conversation.querySelector(".key input:not(:focus)")?.focus(); // nothing else helps where a key is missing
  $("send").hidden = chat.isBusy;
  $("stop").hidden = !chat.isBusy;
  keepEndInSight();
  announce();
}

function keepEndInSight() {
  if (!follows) return;
  conversation.scrollTop = conversation.scrollHeight;
  lastTop = conversation.scrollTop;
}

function drawModels() {
  const select = $("model");
  const none = chat.modelsError ? "No models" : chat.models ? "No model for chat" : "Loading models…";
  const option = ({ id }) => html`<option value=${id} ?selected=${id === chat.model}>${id}</option>`;
  render(chat.models?.length ? chat.models.map(option) : html`<option>${none}</option>`, select);
  select.disabled = !chat.models?.length;
}

function welcome() {
  const example = (text) => html`<li><button type="button" @click=${() => submit(text)}>${text}</button></li>`;
  return html`<div class="welcome">
    <h2>Chat with ${chat.model || "a model"}</h2>
    <ul>${EXAMPLES.map(example)}</ul>
    <p>Programs use this API, too: <code>${BASE}</code> ${copyButton(() => BASE)} <a href="docs">Docs</a>
      · <a href="usage">Usage</a></p>
  </div>`;
}

function turns() {
  const { modelsError } = chat;
  return html`<ol>${chat.turns.map((turn) => (turn.role === "user" ? sent(turn) : received(turn)))}</ol>
    ${modelsError && !chat.reply?.error ? problem(modelsError, loadModels) : nothing}`;
}

function sent(turn) {
  if (turn === editing) return html`<li class="sent">${editor(turn)}</li>`;
  function edit() {
    editing = turn;
    drawNow();
    conversation.querySelector(".editor textarea").focus();
  }
  return html`<li class="sent">
    <h2 class="unseen">You</h2>
    <p class="text" dir="auto">${turn.text}</p>
    <div class="actions"><button type="button" @click=${edit}>Edit</button>${copyButton(() => turn.text)}</div>
  </li>`;
}

function editor(turn) {
  const isLast = chat.turns.indexOf(turn) >= chat.turns.length - 2;
  function end() {
    editing = null;
    draw();
    focusMessage();
  }
  function send(event) {
    event.preventDefault();
    const text = event.currentTarget.elements.text.value.trim();
    if (!text) return;
    end();
    follow();
    chat.edit(turn, text);
  }
  return html`<form class="editor" @submit=${send}>
    <textarea name="text" dir="auto" aria-label="Edit the message" rows="2" .value=${turn.text} @keydown=${sendOnEnter}></textarea>
    <div class="actions">
      <button type="submit">Send</button><button type="button" data-escape @click=${end}>Cancel</button>
      ${isLast ? nothing : html`<span>What follows it is replaced.</span>`}
    </div>
  </form>`;
}

function received(reply) {
  if (reply.text !== reply.shown) reply.blocks = blocksOf(reply.text, reply.blocks);
  reply.shown = reply.text;
  const isUnderWay = ["waiting", "writing"].includes(reply.state);
  return html`<li class="received" aria-busy=${isUnderWay}>
    <h2 class="unseen">${reply.request.model}</h2>
    ${reply.reasoning ? reasoning(reply) : nothing}
    ${reply.state === "waiting" ? waiting(reply) : nothing}
    ${reply.blocks?.map(({ node }) => node)}
    ${reply.error ? problem(reply.error, reply === chat.reply ? again : null, reply) : nothing}
    ${isUnderWay ? nothing : footer(reply)}
  </li>`;
}

function reasoning({ reasoning, beganAt, thoughtAt, endedAt, state }) {
  const isThinking = state === "writing" && !thoughtAt;
  const took = seconds((thoughtAt ?? endedAt) - beganAt);
  return html`<details class="reasoning">
    <summary>${isThinking ? html`<span class="pulse">Thinking…</span>` : `Thought for ${took}`}</summary>
    <p class="text" dir="auto">${reasoning}</p>
  </details>`;
}

function waiting({ beganAt }) {
  const waitedS = Math.floor((performance.now() - beganAt) / 1000);
  const starting = waitedS >= 15 ? " A model that was switched off needs minutes to start." : "";
  return html`<p class="waiting"><span class="pulse" aria-hidden="true">●</span>
    ${waitedS >= 3 ? `Waiting for the first token, ${waitedS} s.${starting}` : nothing}</p>`;
}

function footer(reply) {
  const { state, usage, firstAt, beganAt, endedAt, finish } = reply;
  const wroteMs = endedAt - (firstAt ?? endedAt); // little, where the reply arrived in one piece
  const rate = usage && wroteMs > 50 ? Math.round((usage.completion_tokens / wroteMs) * 1000) : null;
  const facts = [
    state === "stopped" && "Stopped",
    state === "done" && !reply.text && "The reply has no text",
    finish === "length" && "Cut at the limit of tokens",
    finish === "content_filter" && "Withheld by a filter",
    usage && `${usage.prompt_tokens} tokens in, ${usage.completion_tokens} out`,
    rate && `${rate} per second`,
    firstAt && `first after ${seconds(firstAt - beganAt)}`,
    firstAt && `${seconds(endedAt - beganAt)} in all`,
  ].filter(Boolean);
  return html`<div class="actions">
    ${reply.text ? copyButton(() => reply.text) : nothing}
    ${reply === chat.reply && !reply.error ? html`<button type="button" @click=${again}>Retry</button>` : nothing}
    <button type="button" aria-haspopup="dialog" @click=${() => show(reply.request)}>Code</button>
    <span class="facts">${facts.join(" · ")}</span>
  </div>`;
}

function problem(error, retry, reply) {
  const needsKey = error.status === 401;
  const leftS = reply?.retryAt ? Math.max(0, Math.ceil((reply.retryAt - performance.now()) / 1000)) : null;
  const actions = html`<div class="actions">
    ${leftS === null ? nothing : html`<span>Next attempt in ${leftS} s</span>`}
    <button type="button" @click=${retry}>${leftS === null ? "Retry" : "Retry now"}</button>
    ${leftS === null ? nothing : html`<button type="button" @click=${() => chat.stop()}>Cancel</button>`}
    ${LIMITED.includes(error.code) ? html`<a href="usage" target="_blank">What is left</a>` : nothing}
  </div>`;
  const isCalm = leftS !== null || (needsKey && !chat.key);
  function use(key) {
    $("key").value = chat.key = key;
    retry();
  }
  return html`<section class=${isCalm ? "problem calm" : "problem"} aria-label="Problem">
    <h2>${titleOf(error, chat.key)}</h2>
    ${needsKey && !chat.key ? nothing : html`<p>${error.message}</p>`}
    ${retry ? (needsKey ? keyForm(use) : actions) : nothing}
  </section>`;
}

/** Show the request as code. */
function show(request) {
  const parts = { curl: [curl(BASE, request), "bash"], Python: [python(BASE, request), "python"] };
  const part = ([title, [code, language]]) => html`<h3>${title}</h3>${codeBlock(code, language)}`;
  const content = html`<header>
      <h2>This request as code</h2>
      <form method="dialog"><button>Close</button></form>
    </header>
    <p>Put your API key in place of <code>YOUR_API_KEY</code>; where none is needed, leave it as it is.</p>
    ${Object.entries(parts).map(part)}`;
  render(content, snippets);
  snippets.showModal();
}

/** Have a screen reader read what changed: a reply as a whole, not each of its tokens. */
function announce() {
  const { reply } = chat;
  const said = {
    waiting: "Waiting for the reply.",
    writing: "The reply has begun.",
    done: reply?.text,
    stopped: "Stopped.",
    failed: reply?.error?.message,
  };
  const text = said[reply?.state] ?? chat.modelsError?.message ?? "";
  if ($("status").textContent !== text) $("status").textContent = text;
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

// What people do

function follow() {
  follows = true;
  $("latest").hidden = true;
}

/** Let people write on, unless that opens a keyboard on the screen. */
function focusMessage() {
  if (matchMedia("(pointer: fine)").matches) message.focus();
}

function submit(text) {
  follow();
  chat.send(text);
  focusMessage();
}

function again() {
  follow();
  if (chat.modelsError) chat.loadModels();
  chat.retry();
  focusMessage();
}

function loadModels() {
  chat.loadModels();
  focusMessage();
}

function sendOnEnter(event) {
  const isComposing = event.isComposing || event.keyCode === 229; // Safari's last key of a composition
  if (event.key !== "Enter" || event.shiftKey || isComposing) return;
  event.preventDefault();
  event.currentTarget.form.requestSubmit();
}

function on(id, type, react) {
  $(id).addEventListener(type, ({ currentTarget }) => react(currentTarget));
}

message.addEventListener("keydown", sendOnEnter);
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = message.value.trim();
  if (!text || chat.isBusy) return;
  message.value = "";
  submit(text);
});
on("stop", "click", () => {
  chat.stop();
  focusMessage();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || snippets.open) return;
  if (editing) conversation.querySelector("[data-escape]").click();
  else chat.stop();
});
conversation.addEventListener("scroll", () => {
  const { scrollHeight, scrollTop, clientHeight } = conversation;
  if (scrollTop < lastTop - 1) follows = false; // only a reader scrolls up
  else if (scrollHeight - scrollTop - clientHeight < 8) follows = true;
  lastTop = scrollTop;
  $("latest").hidden = follows;
});
// As where a keyboard appears on the screen.
new ResizeObserver(keepEndInSight).observe(conversation);
on("latest", "click", () => {
  follow();
  draw();
  focusMessage();
});
on("skip", "click", () => message.focus());
on("new", "click", () => {
  editing = null;
  follow();
  chat.clear();
  focusMessage();
});
on("model", "change", (select) => {
  chat.model = select.value;
  draw();
});
on("system", "input", (area) => {
  chat.system = area.value.trim();
});
on("key", "change", (input) => {
  chat.key = input.value.trim();
  chat.loadModels();
});
on("settings-button", "click", (button) => {
  const isShown = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!isShown));
  $("settings").hidden = isShown;
  if (!isShown) $("system").focus();
});
setInterval(() => (chat.reply?.state === "waiting" || chat.reply?.retryAt) && draw(), 1000);

conversation.replaceChildren();
$("model").replaceChildren();
draw();
chat.loadModels();
