"""The picture of how cost grows, drawn from made-up figures."""

from xml.etree import ElementTree

from bench.environments import Cost
from bench.growth_picture import APART, TOGETHER, draw

SVG = "{http://www.w3.org/2000/svg}"


def costs(factor: float) -> list[Cost]:
    points = ((1, 10), (8, 10), (1, 100), (8, 100))
    return [Cost(n, rate, n * rate, 90 * factor, 4e-4, 6e-4 * n, 0, 40 * n * factor) for n, rate in points]


def test_it_has_a_line_for_each_side_and_rate_and_says_what_is_left_out() -> None:
    svg = ElementTree.fromstring(draw({TOGETHER: costs(1), APART: costs(2)}, ["256 x 1,000/s"]))
    # CPU and gap at two rates, memory at one; a line of the legend.
    for kind in ("one", "many"):
        assert len([each for each in svg.iter(f"{SVG}path") if each.get("class") == kind]) == 2 * 2 + 1 + 1
    assert any("256 x 1,000/s" in (each.text or "") for each in svg.iter(f"{SVG}text"))


def test_its_figures_are_in_its_description() -> None:
    svg = ElementTree.fromstring(draw({TOGETHER: costs(1), APART: costs(2)}))
    title, description = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert "one environment, 8 streams of 100/s: 90 µs of CPU per event, gap 4.8 ms at p99, 320 MB" in (
        description.text or ""
    )


def test_all_of_it_is_inside() -> None:
    svg = ElementTree.fromstring(draw({TOGETHER: costs(1), APART: costs(2)}))
    _, _, width, height = map(float, (svg.get("viewBox") or "").split())
    for mark in (*svg.iter(f"{SVG}circle"), *svg.iter(f"{SVG}text")):
        x, y = (float(mark.get(f"c{name}") or mark.get(name) or "") for name in "xy")
        assert 0 <= x <= width
        assert 0 <= y <= height
