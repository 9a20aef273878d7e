"""The picture of docs/benchmarks.md: bars of ratios, as SVG, readable in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH = 760
_LEFT = 250  # of it for the names
_RIGHT = 60  # for the figures
_BAR = 14
_GAP = 12
_TOP = 34
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.name { text-anchor: end; }
.small { font-size: 12px; fill: #59636e; }
.axis { stroke: #59636e; stroke-width: 1; }
.a { fill: #0969da; }
.b { fill: #9a6700; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .small { fill: #9198a1; }
  .axis { stroke: #9198a1; }
  .a { fill: #4493f8; }
  .b { fill: #d29922; }
}"""


@dataclass(frozen=True, slots=True)
class Group:
    """The bars of one work: a ratio for each series, None where there is none."""

    name: str
    values: Sequence[float | None]


def draw(title: str, series: Sequence[str], groups: Sequence[Group], one: str) -> str:
    """Horizontal bars, two series at most; `one` names the line at 1."""
    known = [value for group in groups for value in group.values if value is not None]
    scale = (_WIDTH - _LEFT - _RIGHT) / max([1.0, *known])
    step = _BAR * len(series) + _GAP
    height = _TOP + step * len(groups) + _GAP
    at_one = _LEFT + scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}\n</style>",
        *_legend(series),
        f'<text class="small" x="{at_one:.0f}" y="{_TOP - 8}" text-anchor="middle">{escape(one)}'
        "</text>",
        f'<line class="axis" x1="{at_one:.1f}" x2="{at_one:.1f}" y1="{_TOP - 4}" y2="{height}"/>',
    ]
    for number, group in enumerate(groups):
        parts += _bars(group, _TOP + _GAP / 2 + number * step, scale)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(series: Sequence[str]) -> list[str]:
    parts = []
    for number, name in enumerate(series):
        x = 10 + 90 * number
        parts.append(f'<rect class="{"ab"[number]}" x="{x}" y="8" width="12" height="12"/>')
        parts.append(f'<text x="{x + 18}" y="19">{escape(name)}</text>')
    return parts


def _bars(group: Group, top: float, scale: float) -> list[str]:
    middle = top + _BAR * len(group.values) / 2 + 4
    parts = [f'<text class="name" x="{_LEFT - 10}" y="{middle:.0f}">{escape(group.name)}</text>']
    for number, value in enumerate(group.values):
        if value is None:
            continue
        y, width = top + number * _BAR, value * scale
        parts.append(
            f'<rect class="{"ab"[number]}" x="{_LEFT}" y="{y:.0f}" width="{width:.1f}" '
            f'height="{_BAR - 2}"/>'
        )
        parts.append(
            f'<text class="small" x="{_LEFT + width + 5:.0f}" y="{y + 10:.0f}">{value:.2f}</text>'
        )
    return parts
