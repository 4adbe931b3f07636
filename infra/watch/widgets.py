"""What rows of the dashboard are made of. A row is 24 wide."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch

WIDTH = 24
_HEIGHT = 6

Row = list[cloudwatch.IWidget]


def heading(text: str) -> Row:
    """Return a row of text: what is below, in Markdown."""
    return [cloudwatch.TextWidget(markdown=text, width=WIDTH, height=2)]


def graphs(*widgets: cloudwatch.GraphWidget) -> Row:
    """Return a row of graphs."""
    return list(widgets)


def graph(
    title: str,
    unit: str,
    metrics: Sequence[cloudwatch.IMetric],
    *,
    stacked: bool = False,
    most: float | None = None,
    width: int = 6,
) -> cloudwatch.GraphWidget:
    """Return a graph from zero up; its title ends with the unit."""
    return cloudwatch.GraphWidget(
        title=f"{title} ({unit})",
        left=list(metrics),
        left_y_axis=cloudwatch.YAxisProps(min=0, max=most, show_units=False),
        stacked=stacked,
        width=width,
        height=_HEIGHT,
    )
