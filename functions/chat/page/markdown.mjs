// The Markdown of replies. A reply is not trusted: HTML in it is shown as text, what is made of its Markdown is
// sanitised, images become links, and the page's policy would let nothing else run or load.

import { html, render } from "./lit-html.js";
import highlighter from "./highlight.js";
import { Marked } from "./marked.js";
import purify from "./purify.js";

// Colouring more than so many characters takes longer than a frame, for each frame in which a block grows.
const MOST_COLOURED = 12_000;
const TAGS =
  "a blockquote br code del em h3 h4 h5 h6 hr input li ol p pre strong table tbody td th thead tr ul".split(" ");
const ALLOWED = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["align", "checked", "class", "disabled", "href", "start", "title", "type"],
  ADD_URI_SAFE_ATTR: ["align", "start", "type"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true,
};
const escape = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) =>
      `<input type="checkbox" disabled${checked ? ' checked aria-label="Done"' : ' aria-label="To do"'}> `,
    heading({ tokens, depth }) {
      const name = `h${Math.min(depth + 2, 6)}`; // the page has headings of its own
      return `<${name}>${this.parser.parseInline(tokens)}</${name}>`;
    },
  },
});

/**
 * Return {raw, node} for each block of a text; those in `before` whose source is the same are kept.
 *
 * So a reply that grows changes its last block only.
 */
export function blocksOf(text, before = []) {
  const tokens = marked.lexer(text).filter(({ type }) => type !== "space" && type !== "def");
  return tokens.map((token, number) =>
    before[number]?.raw === token.raw ? before[number] : { ...token, node: nodeOf(token, before[number]) },
  );
}

function nodeOf(token, before) {
  if (token.type === "code") {
    return codeBlock(token.text, token.lang, before?.type === "code" ? before.node : undefined);
  }
  const node = document.createElement("div");
  Object.assign(node, { className: "block", dir: "auto" });
  node.append(purify.sanitize(marked.parser([token]), ALLOWED));
  for (const pre of node.querySelectorAll("pre")) {
    const language = pre.firstElementChild?.className.replace("language-", "");
    pre.replaceWith(codeBlock(pre.textContent.replace(/\n$/, ""), language));
  }
  for (const table of node.querySelectorAll("table")) {
    const frame = Object.assign(document.createElement("div"), { className: "table", tabIndex: 0 });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const link of node.querySelectorAll("a")) {
    Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
  }
  return node;
}

/** Return a block of code, coloured where its language is known, with a button that copies it; `block` is reused. */
export function codeBlock(code, info, block = document.createElement("div")) {
  Object.assign(block, { className: "block code", dir: "ltr" });
  const language = /^[\w+#.-]*/.exec(info ?? "")[0];
  const content = highlighter.getLanguage(language) && code.length <= MOST_COLOURED
    ? purify.sanitize(highlighter.highlight(code, { language, ignoreIllegals: true }).value, {
        ALLOWED_TAGS: ["span"],
        ALLOWED_ATTR: ["class"],
        RETURN_DOM_FRAGMENT: true,
      })
    : code;
  render(
    html`<div class="bar"><span>${language || "text"}</span>${copyButton(() => code, "Copy code")}</div>
      <pre tabindex="0"><code>${content}</code></pre>`,
    block,
  );
  return block;
}

/** Return a button that copies what `text` returns. */
export function copyButton(text, label = "Copy") {
  async function copy({ currentTarget: button }) {
    await write(text());
    button.firstChild.data = "Copied";
    setTimeout(() => (button.firstChild.data = label), 1500);
  }
  return html`<button type="button" class="copy" aria-live="polite" .textContent=${label} @click=${copy}></button>`;
}

/** Browsers offer `navigator.clipboard` only to pages of https and of this machine. */
async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement("textarea"), { value: text });
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
