"""The picture of `bench.growth`: three charts over the number of streams, for light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import ceil, floor, log, log10

from bench.environments import Cost

TOGETHER, APART = "one environment", "a process for each stream"
GAP_MS = 5.0
_WIDTH, _HEIGHT = 880, 400
_PANEL, _TOP, _BOTTOM, _LEFT = 284, 118, 318, 52
_STYLE = """svg{--page:#fff;--text:#1f2328;--faint:#59636e;--grid:#d1d9e0;--one:#0969da;--many:#bc4c00}
@media (prefers-color-scheme:dark){svg{--page:#0d1117;--text:#e6edf3;--faint:#9198a1;--grid:#30363d;\
--one:#58a6ff;--many:#f0883e}}
text{fill:var(--text);font:12px system-ui,-apple-system,'Segoe UI',sans-serif}
.head{font-size:13px;font-weight:600}.faint{fill:var(--faint)}.grid{stroke:var(--grid)}
.limit{stroke:var(--faint);stroke-dasharray:2 3}
.one{stroke:var(--one);fill:var(--one)}.many{stroke:var(--many);fill:var(--many)}
.any{fill:var(--text)}path.one,path.many{fill:none;stroke-width:1.5}path.many{stroke-dasharray:5 3}"""


def draw(sides: Mapping[str, Sequence[Cost]], left_out: Sequence[str] = ()) -> str:
    """Return an SVG of CPU per event, of the gap at p99, and of memory."""
    costs = [cost for each in sides.values() for cost in each]
    streams = sorted({cost.streams for cost in costs})
    rates = sorted({cost.rate for cost in costs})
    charts: tuple[tuple[str, Callable[[Cost], float], bool, list[float]], ...] = (
        ("CPU per event, µs", lambda cost: cost.cpu_us, False, rates),
        ("Gap in the function, p99, ms", lambda cost: cost.gap_p99_s * 1e3, True, rates),
        ("Memory, MB", lambda cost: cost.memory_mb, True, rates[:1]),
    )
    parts = [_legend(rates)]
    for number, (title, value, logarithmic, drawn) in enumerate(charts):
        scale = _Scale([value(cost) for cost in costs if cost.rate in drawn], logarithmic)
        parts.append(_frame(number, title, scale, streams))
        for kind, name in (("one", TOGETHER), ("many", APART)):
            for rate in drawn:
                line = sorted((cost.streams, value(cost)) for cost in sides[name] if cost.rate == rate)
                places = [(_x(number, each, streams), scale.y(height)) for each, height in line]
                parts.append(_line(kind, rates.index(rate), places))
    if left_out:
        note = f"Left out, as the engine on the other core cannot send that many: {', '.join(left_out)}."
        parts.append(f'<text class="faint" x="{_LEFT - 36}" y="{_HEIGHT - 14}">{escape(note)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-labelledby="title desc">\n'
        '<title id="title">What relaying costs as streams grow</title>\n'
        f'<desc id="desc">{escape(_description(sides))}</desc>\n<style>{_STYLE}</style>\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" style="fill:var(--page)"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


class _Scale:
    """From a value to its height, from 0 or in powers of ten; `ticks` are those with a line."""

    def __init__(self, values: Sequence[float], logarithmic: bool) -> None:
        self._logarithmic = logarithmic
        if logarithmic:
            first, last = floor(log10(min(values))), ceil(log10(max(values)))
            last = max(last, first + 1)
            self.ticks = [10.0**power for power in range(first, last + 1)]
        else:
            step = 10 ** floor(log10(max(values)))
            step = next(each for each in (step / 5, step / 2, step, 2 * step) if 5 * each >= max(values))
            self.ticks = [step * number for number in range(ceil(max(values) / step) + 1)]

    def y(self, value: float) -> float:
        """Return where a value is."""
        low, high, at = self.ticks[0], self.ticks[-1], value
        if self._logarithmic:
            low, high, at = log10(low), log10(high), log10(value)
        return _BOTTOM - (at - low) / (high - low) * (_BOTTOM - _TOP)

    def holds(self, value: float) -> bool:
        """Return whether a value is within it."""
        return self.ticks[0] <= value <= self.ticks[-1]


def _x(number: int, streams: int, all_streams: Sequence[int]) -> float:
    span = log(all_streams[-1] / all_streams[0]) or 1
    return number * _PANEL + _LEFT + 10 + log(streams / all_streams[0]) / span * (_PANEL - _LEFT - 34)


def _frame(number: int, title: str, scale: _Scale, streams: Sequence[int]) -> str:
    left, right = number * _PANEL + _LEFT, (number + 1) * _PANEL - 14
    parts = [f'<text class="head" x="{left - 36}" y="{_TOP - 18}">{escape(title)}</text>']
    for tick in scale.ticks:
        y = scale.y(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="faint" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:,g}</text>')
    if "Gap" in title and scale.holds(GAP_MS):
        y = scale.y(GAP_MS)
        parts.append(f'<line class="limit" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="faint" x="{left + 4}" y="{y - 4:.1f}">{GAP_MS:g} ms</text>')
    for each in streams:
        x = _x(number, each, streams)
        parts.append(f'<text class="faint" x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{each}</text>')
    middle = (left + right) / 2
    parts.append(f'<text class="faint" x="{middle}" y="{_BOTTOM + 40}" text-anchor="middle">streams</text>')
    return "\n".join(parts)


def _line(kind: str, marker: int, places: Sequence[tuple[float, float]]) -> str:
    path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<path class="{kind}" d="{path}"/>' + "".join(
        _MARKERS[marker % 3](kind, *each) for each in places
    )


_MARKERS: tuple[Callable[[str, float, float], str], ...] = (
    lambda kind, x, y: f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>',
    lambda kind, x, y: f'<rect class="{kind}" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>',
    lambda kind, x, y: (
        f'<polygon class="{kind}" points="{x - 4:.1f},{y + 3:.1f} {x + 4:.1f},{y + 3:.1f} '
        f'{x:.1f},{y - 4:.1f}"/>'
    ),
)


def _legend(rates: Sequence[float]) -> str:
    parts = [
        f'<text class="head" x="{_LEFT - 36}" y="28">The chat function on one core, as streams grow</text>'
    ]
    x = _LEFT - 36.0
    for kind, name in (("one", TOGETHER), ("many", APART)):
        parts.append(f'<path class="{kind}" d="M{x},52h26"/><text x="{x + 34}" y="56">{name}</text>')
        x += 54 + 6.2 * len(name)
    x += 16
    for number, rate in enumerate(rates):
        parts.append(
            _MARKERS[number % 3]("any", x, 52) + f'<text x="{x + 10}" y="56">{rate:,g} events/s each</text>'
        )
        x += 132
    return "\n".join(parts)


def _description(sides: Mapping[str, Sequence[Cost]]) -> str:
    """Say in words what the charts show."""
    points = [
        f"{name}, {cost.streams} streams of {cost.rate:,g}/s: {cost.cpu_us:.0f} µs of CPU per event, "
        f"gap {cost.gap_p99_s * 1e3:.1f} ms at p99, {cost.memory_mb:,.0f} MB"
        for name, costs in sides.items()
        for cost in costs
    ]
    return (
        "Three charts: CPU per event, the gap in the function at p99, and memory. " + "; ".join(points) + "."
    )
