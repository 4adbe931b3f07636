// A chart of tokens by day or week, whose bars are chosen with a pointer or with the arrow keys.

import { html, nothing, svg } from "./lit-html.js";
import { tokens } from "./account.mjs";
import { amount, dayOf, short } from "./texts.mjs";

const GAP = 0.2; // between bars, of the width of one

/**
 * Return the chart of spans, as `bySpan` returns them.
 *
 * `chosen` is the index of the span that is described; `choose` is called with another. A screen reader reads the chart
 * as a slider whose value is the description.
 */
export function chart(spans, chosen, choose) {
  const top = roundedUp(Math.max(10, ...spans.map(tokens)));
  const texts = spans.map(describe);
  const last = spans.length - 1;
  const step = spans[last].first === spans[last].last ? "day" : "week";
  const keys = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, Home: 0, End: last, PageUp: chosen + 7, PageDown: chosen - 7 };
  function press(event) {
    if (!(event.key in keys)) return;
    event.preventDefault();
    choose(Math.min(Math.max(keys[event.key], 0), last));
  }
  function point({ currentTarget, clientX }) {
    const { left, width } = currentTarget.getBoundingClientRect();
    choose(Math.min(Math.max(Math.floor(((clientX - left) / width) * spans.length), 0), last));
  }
  return html`<figure class="chart">
    <div class="legend" aria-hidden="true"><span class="in">Tokens in</span><span class="out">Tokens out</span></div>
    <div class="frame">
      <div class="scale" aria-hidden="true">${[top, top / 2, 0].map((value) => html`<span>${short(value)}</span>`)}</div>
      <div class="plot" role="slider" tabindex="0" aria-label="Tokens by ${step}" aria-valuemin="0" aria-valuemax=${last}
        aria-valuenow=${chosen} aria-valuetext=${texts[chosen]} @keydown=${press} @pointermove=${point} @pointerdown=${point}>
        <svg viewBox="0 0 ${spans.length} 100" preserveAspectRatio="none" aria-hidden="true">
          ${[0, 50, 100].map((y) => svg`<line class="grid" x1="0" x2=${spans.length} y1=${y} y2=${y}/>`)}
          ${spans.map((span, at) => bar(span, at, top, at === chosen))}
        </svg>
      </div>
      <div class="dates" aria-hidden="true">
        <span>${dayOf(spans[0].first)}</span>${last ? html`<span>${dayOf(spans[last].last)}</span>` : nothing}
      </div>
    </div>
    <figcaption aria-hidden="true">${texts[chosen]}</figcaption>
  </figure>`;
}

function bar({ prompt_tokens: prompt, completion_tokens: completion }, at, top, isChosen) {
  const [low, high] = [prompt, completion].map((value) => (value / top) * 100);
  const part = (kind, y, height) =>
    svg`<rect class=${kind} x=${at + GAP / 2} y=${y} width=${1 - GAP} height=${height}/>`;
  return svg`${isChosen ? svg`<rect class="chosen" x=${at} y="0" width="1" height="100"/>` : nothing}
    ${prompt ? part("in", 100 - low, low) : nothing}
    ${completion ? part("out", 100 - low - high, high) : nothing}`;
}

function describe(span) {
  const when = span.first === span.last ? dayOf(span.first) : `${dayOf(span.first)} to ${dayOf(span.last)}`;
  if (!span.requests) return `${when}: no requests`;
  const { requests, prompt_tokens: prompt, cached_tokens: cached, completion_tokens: completion } = span;
  const cachedText = cached ? ` (${amount(cached)} cached)` : "";
  return `${when}: ${amount(requests, "request")}, ${amount(prompt, "token")} in${cachedText}, ${amount(completion)} out`;
}

/** Return a number of one or two digits, and zeros, that is not less. */
function roundedUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((each) => each >= value);
}
