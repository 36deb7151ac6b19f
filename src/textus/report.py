"""Scores, tables, charts and reports that print themselves as text, Markdown, one HTML page, or JSON."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol


class Shown:
    """Something that a notebook shows as HTML: its report where it has one, else its words, escaped."""

    def _repr_html_(self) -> str:
        found = getattr(self, "report", self)
        shown = found() if callable(found) else found
        return fragment(shown if isinstance(shown, Report | Prose | Table | Chart) else Prose(str(self), verbatim=True))


@dataclass(frozen=True)
class Score(Shown):
    """One measured number, with what makes it comparable."""

    name: str
    """`loss perplexity bits_per_byte accuracy ...`."""
    value: float
    error: float
    """Standard error, in the same unit; 0 where the number is exact."""
    unit: str
    tokenizer: str
    """Fingerprint of the tokenizer; empty where none took part."""
    data: str
    """Fingerprint of the text that was measured."""

    def __str__(self) -> str:
        spread = f" ± {number(self.error)}" if self.error else ""
        return f"{self.name.replace('_', ' ')} {number(self.value)}{spread} {self.unit}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


class Section(Protocol):
    """A part of a report that can show itself four ways."""

    def text(self) -> str: ...

    def markdown(self) -> str: ...

    def html(self) -> str: ...

    def as_dict(self) -> Any: ...


@dataclass(frozen=True)
class Prose(Shown):
    """Paragraphs of words; `verbatim` keeps line breaks, as a sample of a model needs."""

    words: str
    verbatim: bool = False

    def text(self) -> str:
        return self.words

    def markdown(self) -> str:
        return "\n".join("    " + line for line in self.words.splitlines()) if self.verbatim else self.words

    def html(self) -> str:
        tag = "pre" if self.verbatim else "p"
        return f"<{tag}>{html.escape(self.words)}</{tag}>"

    def as_dict(self) -> Any:
        return self.words


@dataclass(frozen=True)
class Table(Shown):
    """Rows under a header; numbers stand to the right."""

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, values: Mapping[str, Any], header: tuple[str, str] = ("", "")) -> Table:
        """Make a table of two columns from a mapping."""
        return cls(header, tuple(values.items()))

    @classmethod
    def of_scores(cls, scores: Iterable[Score]) -> Table:
        """Make a table of scores with their errors."""
        rows = tuple((one.name.replace("_", " "), one.value, one.error, one.unit) for one in scores)
        return cls(("score", "value", "standard error", "unit"), rows)

    def text(self) -> str:
        cells = [self.header, *(tuple(number(value).replace("\n", " ") for value in row) for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.header))]
        lines = [
            "  ".join(
                cell.rjust(width) if index and self._numeric(column) else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for index, row in enumerate(cells)
        ]
        return "\n".join(lines if any(self.header) else lines[1:])

    def markdown(self) -> str:
        rule = tuple("---:" if self._numeric(column) else "---" for column in range(len(self.header)))
        cells = [self.header, rule, *(tuple(map(number, row)) for row in self.rows)]
        return "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in cells
        )

    def html(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.header) if any(self.header) else ""
        body = "".join(
            "<tr>" + "".join(self._cell(column, value) for column, value in enumerate(row)) + "</tr>"
            for row in self.rows
        )
        return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"

    def as_dict(self) -> Any:
        return [dict(zip(self.header, row, strict=True)) for row in self.rows] if any(self.header) else dict(self.rows)

    def _numeric(self, column: int) -> bool:
        return all(isinstance(row[column], int | float) for row in self.rows)

    def _cell(self, column: int, value: Any) -> str:
        style = ' class="n"' if isinstance(value, int | float) else ""
        return f"<td{style}>{html.escape(number(value))}</td>"


@dataclass(frozen=True)
class Chart(Shown):
    """Lines over a common x axis, drawn as SVG in HTML and told by their ends in text."""

    title: str
    x_name: str
    y_name: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    doubling: bool = False
    """Whether each doubling of x takes the same width; x is above 0 then."""

    def text(self) -> str:
        ends = [
            f"{name}: {number(points[0][1])} -> {number(points[-1][1])}"
            for name, points in self.lines.items()
            if points
        ]
        return f"{self.y_name} over {self.x_name}: " + "; ".join(ends)

    def markdown(self) -> str:
        return self.text()

    def html(self) -> str:
        return f"<figure>{''.join(_svg(self))}<figcaption>{html.escape(self.title)}</figcaption></figure>"

    def as_dict(self) -> Any:
        # JSON has no word for a loss that is not a number.
        return {name: [[x, y if math.isfinite(y) else None] for x, y in points] for name, points in self.lines.items()}


@dataclass(frozen=True)
class Report(Shown):
    """A titled sequence of named sections."""

    title: str
    sections: tuple[tuple[str, Section], ...]

    def text(self) -> str:
        """Return what a terminal shows."""
        return "\n\n".join(f"{name}\n{'-' * len(name)}\n{section.text()}" for name, section in self.sections)

    def markdown(self) -> str:
        """Return Markdown."""
        return (
            f"# {self.title}\n\n"
            + "\n\n".join(f"## {name}\n\n{section.markdown()}" for name, section in self.sections)
            + "\n"
        )

    def html(self) -> str:
        """Return one self-contained page: no script, nothing fetched."""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>"
            f"<body><main>{self.body()}</main></body></html>\n"
        )

    def body(self) -> str:
        """Return what stands on the page."""
        sections = "".join(
            f"<section><h2>{html.escape(name)}</h2>{section.html()}</section>" for name, section in self.sections
        )
        return f"<h1>{html.escape(self.title)}</h1>{sections}"

    def as_dict(self) -> dict[str, Any]:
        """Return the sections for JSON."""
        return {"title": self.title, "sections": {name: section.as_dict() for name, section in self.sections}}


def fragment(shown: Report | Section) -> str:
    """Return HTML to stand inside somebody else's page, such as a notebook, and to leave the rest of it alone."""
    body = shown.body() if isinstance(shown, Report) else shown.html()
    return f'<div class="textus"><style>.textus{{{_SHADES}{_PARTS}}}</style>{body}</div>'


def number(value: Any) -> str:
    """Write a value as a person would: whole numbers in groups of three, others to four figures.

    >>> number(1234567), number(0.123456), number(1234.5), number("a")
    ('1 234 567', '0.1235', '1 234', 'a')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if 999.95 <= abs(value) < math.inf:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.4g}"


_SHADES = "--line:#8884;--soft:#8881;"
_PARTS = """
table{border-collapse:collapse;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}
th,td{padding:.25rem .75rem;border-bottom:1px solid var(--line);text-align:left}td.n{text-align:right}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--soft);padding:.75rem;border-radius:.4rem}
figure{margin:1rem 0}svg{width:100%;height:auto}svg text{fill:currentColor;font-size:12px}figcaption{opacity:.7}
"""
_STYLE = f""":root{{color-scheme:light dark;{_SHADES}}}
body{{font:16px/1.5 system-ui,sans-serif;margin:0}}main{{max-width:60rem;margin:auto;padding:1.5rem}}
h2{{margin-top:2.5rem;border-bottom:1px solid var(--line)}}{_PARTS}"""
_COLOURS = ("#2a78d6", "#d6562a", "#2a9d5c", "#9a4fd0", "#b8860b")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 760, 320, 76, 40, 12, 12


def _svg(chart: Chart) -> Iterator[str]:
    lines = {name: [(_scaled(chart, x), y) for x, y in line] for name, line in chart.lines.items()}
    points = [point for line in lines.values() for point in line if all(map(math.isfinite, point))]
    yield f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(chart.title)}">'
    if points:
        xs, ys = _span([x for x, _ in points]), _span([y for _, y in points])
        yield from _axes(chart, xs, ys)
        for index, (name, line) in enumerate(lines.items()):
            colour = _COLOURS[index % len(_COLOURS)]
            path = " ".join(f"{_x(x, xs):.1f},{_y(y, ys):.1f}" for x, y in _thin(line) if math.isfinite(y))
            yield f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{path}"/>'
            top = _TOP + 16 + 18 * index
            yield f'<rect x="{_WIDTH - 150}" y="{top - 9}" width="14" height="4" fill="{colour}"/>'
            yield f'<text x="{_WIDTH - 130}" y="{top - 3}">{html.escape(name)}</text>'
    yield "</svg>"


def _scaled(chart: Chart, x: float) -> float:
    return math.log2(x) if chart.doubling else x


def _axes(chart: Chart, xs: tuple[float, float], ys: tuple[float, float]) -> Iterator[str]:
    for step in range(6):
        y = ys[0] + (ys[1] - ys[0]) * step / 5
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(y, ys):.1f}" y2="{_y(y, ys):.1f}" stroke="#8884"/>'
        yield f'<text x="{_LEFT - 6}" y="{_y(y, ys) + 4:.1f}" text-anchor="end">{number(y)}</text>'
    for place, shown in _marks(chart, xs):
        yield f'<text x="{_x(place, xs):.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{number(shown)}</text>'
    yield f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 5}" text-anchor="middle">{html.escape(chart.x_name)}</text>'
    turned = f'transform="rotate(-90 14 {_HEIGHT / 2})"'
    yield f'<text x="14" y="{_HEIGHT / 2}" text-anchor="middle" {turned}>{html.escape(chart.y_name)}</text>'


def _marks(chart: Chart, xs: tuple[float, float]) -> Iterator[tuple[float, float]]:
    """Yield where numbers stand on the x axis, and which: six evenly, or some powers of two."""
    if not chart.doubling:
        yield from ((x, x) for x in (xs[0] + (xs[1] - xs[0]) * step / 5 for step in range(6)))
        return
    first, last = math.ceil(xs[0]), math.floor(xs[1])
    for power in range(first, last + 1, max(1, (last - first) // 8)):
        yield power, 2**power if power >= 0 else 2.0**power


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _thin(line: Sequence[tuple[float, float]], most: int = 400) -> Sequence[tuple[float, float]]:
    """Keep at most about `most` points, the last among them: a page need not carry every step."""
    stride = max(1, len(line) // most)
    return [*line[::stride], *line[-1:]]


def _x(value: float, span: tuple[float, float]) -> float:
    return _LEFT + (value - span[0]) / (span[1] - span[0]) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, span: tuple[float, float]) -> float:
    return _HEIGHT - _BOTTOM - (value - span[0]) / (span[1] - span[0]) * (_HEIGHT - _BOTTOM - _TOP)
