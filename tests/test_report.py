from __future__ import annotations

import json
import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import textus
from textus.report import Chart, Prose, Report, Score, Section, Shown, Table, number

VOID = {"meta", "line", "polyline", "rect"}
NASTY = "<b>&\"'|</b>\n`x`"


class Page(HTMLParser):
    """Holds a page against its tags, and keeps what a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.seen = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href"}, "nothing is fetched"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.seen += data


def whole() -> Report:
    curve = [(float(step), 5.0 / (1 + step)) for step in range(1000)]
    sections: list[tuple[str, Section]] = [
        ("words", Prose(NASTY)),
        ("sample", Prose(NASTY, verbatim=True)),
        ("table", Table(("name|", "count"), ((NASTY, 1234567), ("b", 2)))),
        ("pairs", Table.of({"steps": 5, "rate": 0.5})),
        (
            "curve",
            Chart("Loss <curve>", "step", "nats", {"train<": curve, "validation": [(0.0, math.nan), (5.0, 3.0)]}),
        ),
    ]
    return Report("A <title>", tuple(sections))


def test_a_page_is_whole_and_fetches_and_runs_nothing() -> None:
    html = whole().html()
    page = Page(html)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert NASTY in page.seen
    assert "1 234 567" in page.seen
    assert page.tags.count("polyline") == 2
    assert "nan" not in html.partition("</style>")[2]


def test_text_stands_in_columns() -> None:
    table = Table(("name", "count", "share"), (("alpha\nbeta", 12345, 0.5), ("c", 6, 0.25)))
    assert (
        table.text().splitlines()
        == [
            "name        count  share",
            "alpha beta  12 345    0.5",
            "c               6   0.25",
        ]
        or [len(line) for line in table.text().splitlines()][1:] == [len(table.text().splitlines()[1])] * 2
    )
    assert Table.of({"a": 1, "bb": "x"}).text() == "a   1\nbb  x"
    assert Table(("a", "b"), ()).text() == "a  b"


def test_markdown_tables_have_as_many_cells_in_every_row() -> None:
    lines = Table(("a|b", "n"), ((NASTY, 1),)).markdown().splitlines()
    assert lines[1] == "| --- | ---: |"
    assert {line.replace("\\|", "").count("|") for line in lines} == {3}


def test_verbatim_words_keep_their_lines() -> None:
    assert Prose("a\n  b", verbatim=True).markdown() == "    a\n      b"
    assert Prose("a < b", verbatim=True).html() == "<pre>a &lt; b</pre>"


def test_json_is_json_even_where_the_loss_was_not_a_number() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    read = json.loads(json.dumps(whole().as_dict()), parse_constant=refuse)
    assert read["title"] == "A <title>"
    assert read["sections"]["table"] == [{"name|": NASTY, "count": 1234567}, {"name|": "b", "count": 2}]
    assert read["sections"]["pairs"] == {"steps": 5, "rate": 0.5}
    assert read["sections"]["curve"]["validation"] == [[0.0, None], [5.0, 3.0]]


def test_a_chart_tells_its_ends_and_thins_its_lines() -> None:
    points = [(float(step), float(step)) for step in range(10_000)]
    chart = Chart("title", "step", "loss", {"train": points, "none": []})
    assert chart.text() == "loss over step: train: 0 -> 9 999"
    drawn = chart.html().partition('points="')[2].partition('"')[0].split()
    assert 400 <= len(drawn) <= 450
    assert drawn[-1] == "748.0,12.0"
    assert drawn[0] == "76.0,280.0"


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)], [(0.0, math.nan)], [(0.0, math.inf), (1.0, 2.0)]])
def test_a_chart_of_nearly_nothing_is_a_chart(points: list[tuple[float, float]]) -> None:
    Page(Chart("title", "x", "y", {"line": points}).html())


def test_a_score_says_its_error_and_unit() -> None:
    score = Score("bits_per_byte", 2.10345, 0.0123, "bits", "t", "d")
    assert str(score) == "bits per byte 2.103 ± 0.0123 bits"
    assert str(Score("perplexity", 1234.0, 0.0, "", "t", "d")) == "perplexity 1 234"
    assert score.as_dict()["value"] == 2.10345


@given(st.integers() | st.floats())
def test_a_number_is_near_what_is_written(value: float) -> None:
    written = number(value)
    if isinstance(value, int):
        assert int(written.replace(" ", "")) == value
    elif math.isfinite(value):
        assert math.isclose(float(written.replace(" ", "")), value, rel_tol=6e-4)
    else:
        assert written == str(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (999.96, "1 000"),
        (999.9, "999.9"),
        (True, "True"),
        (-1234567, "-1 234 567"),
        (10**400, None),
        (0.0, "0"),
        ("", ""),
    ],
)
def test_numbers_as_a_person_writes_them(value: object, words: str | None) -> None:
    assert number(value) == words or words is None


@pytest.mark.parametrize(
    "shown", [Prose(NASTY), Table((NASTY, ""), ((NASTY, 1),)), Report(NASTY, ((NASTY, Prose(NASTY)),))]
)
def test_a_notebook_shows_parts_and_reports_escaped(shown: Prose | Table | Report) -> None:
    page = Page(shown._repr_html_())
    assert page.tags[:2] == ["div", "style"] and not {"b", "html", "body"} & set(page.tags)
    assert "<b>&\"'|</b>" in page.seen


def test_a_notebook_shows_the_report_of_what_has_one_and_the_words_of_what_has_none() -> None:
    class Wordy(Shown):
        def __str__(self) -> str:
            return NASTY

    class WithReport(Shown):
        def report(self) -> Report:
            return Report("title", (("part", Prose("<i>")),))

    assert "<pre>&lt;b&gt;" in Wordy()._repr_html_()
    assert "<h1>title</h1>" in WithReport()._repr_html_() and "&lt;i&gt;" in WithReport()._repr_html_()
    assert "loss 1.5" in Score("loss", 1.5, 0.0, "nats", "", "")._repr_html_()


SHOWN = ["Ablation", "Compared", "Completion", "Corpus", "Diagnosis", "Exported", "Report", "Score", "TrainResult"]


@pytest.mark.parametrize("name", SHOWN)
def test_public_results_show_themselves(name: str) -> None:
    assert issubclass(getattr(textus, name), Shown)
