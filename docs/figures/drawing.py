"""Bars and lines as small SVG files that read on a light page and on a dark one."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from textus.report import Chart, number

COLOURS = ("#2a78d6", "#d6562a", "#2a9d5c", "#9a4fd0")
STYLE = "<style>text{fill:#808080;font:12px system-ui,sans-serif}</style>"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 320, 60, 44, 84


def save(name: str, svg: str) -> None:
    """Write a figure beside this file, and say what is in it."""
    path = Path(__file__).with_name(f"{name}.svg")
    path.write_text(svg + "\n", "utf-8")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def lines(x_name: str, y_name: str, curves: Mapping[str, Sequence[tuple[float, float]]], doubling: bool = False) -> str:
    """Draw curves as reports do."""
    print(f"{y_name} over {x_name}:", {name: [points[0], points[-1]] for name, points in curves.items()})
    drawn = Chart("", x_name, y_name, curves, doubling).html()
    found = re.search(r"<svg .*</svg>", drawn, re.DOTALL)
    assert found
    return found[0].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{STYLE}", 1)


def bars(y_name: str, groups: Mapping[str, Sequence[float]], labels: Sequence[str]) -> str:
    """Draw a bar for each label, or one of each group."""
    print(f"{y_name}:", {name: dict(zip(labels, map(number, row), strict=True)) for name, row in groups.items()})
    most = max(max(row) for row in groups.values()) or 1.0
    step, tall = (WIDTH - LEFT) / len(labels), HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{STYLE}',
        f'<text x="{LEFT}" y="14">{html.escape(y_name)}</text>',
    ]
    thick = step * 0.8 / len(groups)
    for which, (name, row) in enumerate(groups.items()):
        colour = COLOURS[which % len(COLOURS)]
        if name:
            left = WIDTH - 170 * (len(groups) - which)
            parts.append(f'<rect x="{left}" y="5" width="12" height="9" fill="{colour}"/>')
            parts.append(f'<text x="{left + 18}" y="14">{html.escape(name)}</text>')
        for place, value in enumerate(row):
            high, left = tall * value / most, LEFT + step * (place + 0.1) + thick * which
            parts.append(
                f'<rect x="{left:.1f}" y="{TOP + tall - high:.1f}" width="{thick:.1f}" height="{high:.1f}" '
                f'fill="{colour}"><title>{number(round(value, 4))}</title></rect>'
            )
            if len(labels) * len(groups) <= 16:
                shown = number(round(value, 2))
                middle, above = left + thick / 2, TOP + tall - high - 4
                parts.append(f'<text x="{middle:.1f}" y="{above:.1f}" text-anchor="middle">{shown}</text>')
    for place, label in enumerate(labels):
        x, y = LEFT + step * (place + 0.5), HEIGHT - BOTTOM + 16
        turned = f'text-anchor="end" transform="rotate(-35 {x:.1f} {y})"' if len(labels) > 6 else 'text-anchor="middle"'
        parts.append(f'<text x="{x:.1f}" y="{y}" {turned}>{html.escape(label.strip())}</text>')
    return "".join([*parts, "</svg>"])
