"""The page as a person uses it: in Chromium without a window, with the real server behind it.

Runs where the extra `browser` and Debian's package `chromium` (or another Chromium in the path) are installed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
expect = playwright.expect
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
PATIENCE = 120_000
"""Milliseconds after which a page that does not do what it should has failed the test."""
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>&lt;b&gt; \u202e"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser; each test gets a window of its own that knows nothing of the others."""
    expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def said() -> list[str]:
    """What the browser complained of."""
    return []


@pytest.fixture
def page(chromium: Any, server: Any, said: list[str]) -> Iterator[Any]:
    """The page, with the key typed in and the models known; a complaint that nobody expects fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.on("dialog", lambda dialog: said.append(f"a dialog: {dialog.message}"))
    page.goto(server.url)
    # without a key the models are refused, and the page leads to the field for it
    expect(page.locator("#notice .failed")).to_contain_text("key")
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type(server.key)
    page.keyboard.press("Tab")
    expect(page.locator("#model")).to_have_value("tiny")
    said[:] = [line for line in said if "401" not in line]
    page.get_by_label("Max tokens").fill("24")
    page.get_by_label("Temperature").fill("0")
    yield page
    context.close()
    assert said == []


def ask(page: Any, text: str, turns: int) -> Any:
    """Say something and wait for the answer; return the last turn."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")
    return answered(page, turns)


def answered(page: Any, turns: int) -> Any:
    """Return the last of so many turns, once nothing is being written."""
    found = page.locator("#turns-chat > li")
    expect(found).to_have_count(turns)
    expect(page.locator("#turns-chat")).to_have_attribute("aria-busy", "false")
    return found.last


def text_of(turn: Any) -> str:
    return str(turn.locator(".text").text_content())


def test_an_answer_is_what_the_server_wrote_and_branches_keep_every_version(page: Any, server: Any) -> None:
    turn = ask(page, "the fox", 2)
    wanted = server.chat(max_completion_tokens=24)["choices"][0]["message"]["content"]
    assert text_of(turn) == wanted
    expect(turn.locator(".speed")).to_have_text(re.compile(r"^24 tokens in .+ tokens/s · first after .+s$"))
    page.get_by_label("Temperature").fill("1")
    page.get_by_label("Seed").fill("3")
    turn.get_by_role("button", name="Regenerate").click()
    again = answered(page, 2)
    expect(again.get_by_role("group", name="Versions")).to_have_text("‹2/2›")
    another = text_of(again)
    assert another != wanted
    expect(again.get_by_role("button", name="next version")).to_be_disabled()
    again.get_by_role("button", name="previous version").click()
    expect(again.get_by_role("group", name="Versions")).to_have_text("‹1/2›")
    assert text_of(again) == wanted
    # a message that is edited is answered anew, and what was there stays beside it
    first = page.locator("#turns-chat > li").first
    first.get_by_role("button", name="Edit").click()
    page.get_by_label("Text of this turn").fill("the dog")
    page.keyboard.press("Control+Enter")
    answered(page, 2)
    expect(first.get_by_role("group", name="Versions")).to_have_text("‹2/2›")
    first.get_by_role("button", name="previous version").focus()
    page.keyboard.press("Enter")
    expect(first.locator(".text")).to_have_text("the fox")
    assert text_of(page.locator("#turns-chat > li").last) == wanted
    # a reload loses nothing
    page.reload()
    expect(page.locator("#turns-chat > li")).to_have_count(2)
    assert text_of(page.locator("#turns-chat > li").last) == wanted


def test_escape_stops_and_what_has_come_stays(page: Any) -> None:
    page.get_by_label("Max tokens").fill("200")
    # Escape is pressed right when the first text is there, wherever the server is by then
    page.evaluate(
        """() => { const real = take; take = (turn, piece, live) => { real(turn, piece, live);
             if (piece.text) document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })); }; }"""
    )
    turn = ask(page, "the fox", 2)
    expect(turn.locator(".badge")).to_have_text("stopped by you")
    assert 0 < len(text_of(turn)) < 100
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_probabilities_are_shown_on_hover_and_by_the_keyboard(page: Any) -> None:
    page.get_by_label("Ask for them and show them").check()
    turn = ask(page, "the fox", 2)
    tokens = turn.locator(".token")
    assert tokens.count() > 10
    assert "".join(tokens.all_text_contents()) == text_of(turn)
    tip = page.get_by_role("tooltip")
    tokens.nth(4).hover()
    expect(tip.locator("tr")).to_have_count(5)
    expect(tip.locator(".taken")).to_have_count(1)
    shares = [float(text.strip("< %")) for text in tip.locator(".number").all_text_contents()]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) < 101
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(1)).to_be_focused()
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.get_by_label("Ask for them and show them").uncheck()
    expect(tokens).to_have_count(0)


def test_a_text_is_continued_piece_by_piece(page: Any, server: Any) -> None:
    page.get_by_role("tab", name="Chat").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Ask for them and show them").check()
    field = page.get_by_label("Beginning, or more text")
    field.fill("the quick")
    field.press("Control+Enter")
    texts = page.locator("#turns-write > li .text")
    expect(texts).to_have_count(2)
    page.get_by_role("button", name="Continue").click()
    expect(texts).to_have_count(3)
    expect(page.locator("#turns-write")).to_have_attribute("aria-busy", "false")
    first = server.write(prompt="the quick", max_tokens=24)["choices"][0]["text"]
    second = server.write(prompt="the quick" + first, max_tokens=24)["choices"][0]["text"]
    assert texts.all_text_contents() == ["the quick", first, second]
    assert page.locator("#turns-write .token").count() > 20


def test_the_guards_word_is_told(page: Any, said: list[str]) -> None:
    turn = ask(page, "a forbidden loom", 2)
    expect(turn.locator(".guarded")).to_contain_text("looms")
    said[:] = [line for line in said if "400" not in line]
    first = page.locator("#turns-chat > li").first
    first.get_by_role("button", name="Judge").click()
    expect(first.locator(".verdict summary")).to_contain_text("is blocked")
    # what failed makes room for the next try
    turn.get_by_role("button", name="Try again").click()
    expect(answered(page, 2).locator(".guarded")).to_be_visible()
    said[:] = [line for line in said if "400" not in line]
    # another message stands in the place of the one that got no answer, which is kept beside it
    assert text_of(ask(page, "the fox", 2))
    expect(first.get_by_role("group", name="Versions")).to_have_text("‹2/2›")
    page.get_by_role("tab", name="Guard").click()
    page.locator("#text-guard").fill("write to ann@example.org")
    page.get_by_label("Judged as").select_option("output")
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator("#out-guard .verdict summary")).to_contain_text("redacted")
    expect(page.locator("#out-guard .result")).not_to_contain_text("ann@")


def test_blanks_are_filled_and_texts_compared(page: Any) -> None:
    page.locator("#model").select_option("both")
    expect(page.locator("#note-chat")).to_contain_text("does not write")
    page.get_by_role("tab", name="Fill").click()
    field = page.get_by_label("Text with blanks")
    field.fill("the quick <mask> fox <mask>")
    page.get_by_role("button", name="Fill", exact=True).click()
    blanks = page.locator("#out-fill table")
    expect(blanks).to_have_count(2)
    expect(blanks.first.locator("tr")).to_have_count(5)
    blanks.first.get_by_role("button").first.click()
    expect(blanks).to_have_count(1)
    assert field.input_value().count("<mask>") == 1
    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Texts, one a line").fill("the fox\nthe dog\nthe fox")
    page.get_by_role("button", name="Compare", exact=True).click()
    rows = page.locator(".matrix tbody tr")
    expect(rows).to_have_count(3)
    cosines = [[float(text) for text in row.locator("td").all_text_contents()] for row in rows.all()]
    assert cosines[0][0] == cosines[0][2] == cosines[2][0] == 1 and cosines[0][1] == cosines[1][0] < 1


def test_errors_are_the_servers_sentences_and_bad_settings_never_leave(page: Any, said: list[str]) -> None:
    page.get_by_label("Max tokens").fill("100000")
    turn = ask(page, "the fox", 2)
    expect(turn.get_by_role("alert")).to_contain_text("max_completion_tokens")
    said[:] = [line for line in said if "400" not in line]
    page.get_by_label("Max tokens").fill("8")
    page.get_by_label("Temperature").fill("7")
    turn.get_by_role("button", name="Try again").click()
    expect(answered(page, 2).get_by_role("alert")).to_contain_text("temperature is “7”")
    expect(page.get_by_label("Temperature")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_label("Temperature")).to_have_value("")


def test_conversations_go_out_and_come_in_and_text_stays_text(page: Any, tmp_path: Path) -> None:
    talk = {
        "format": "textus-conversation",
        "version": 1,
        "kind": "chat",
        "system": HOSTILE,
        "turns": [
            {"id": HOSTILE, "parent": "", "role": "user", "text": HOSTILE},
            {
                "id": "b",
                "parent": HOSTILE,
                "role": "assistant",
                "text": "x" * 20_000,
                "model": HOSTILE,
                "finish": HOSTILE,
            },
        ],
    }
    (tmp_path / "talk.json").write_text(json.dumps(talk), "utf-8")
    page.locator("#file").set_input_files(tmp_path / "talk.json")
    turns = page.locator("#turns-chat > li")
    expect(turns).to_have_count(2)
    assert text_of(turns.first) == HOSTILE
    assert page.locator("img").count() == 0 and page.locator("main script").count() == 0
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    written = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert [(turn["text"], turn["role"]) for turn in written["turns"]] == [
        (turn["text"], turn["role"]) for turn in talk["turns"]
    ]
    assert "key" not in json.dumps(written)
    (tmp_path / "no.json").write_text('{"format": 1}', "utf-8")
    page.locator("#file").set_input_files(tmp_path / "no.json")
    expect(page.locator("#notice")).to_contain_text("holds no conversation")
    expect(turns).to_have_count(2)
    page.get_by_role("button", name="New", exact=True).click()
    expect(turns).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(turns).to_have_count(2)


def test_it_fits_a_telephone_and_the_dark(page: Any) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(paper)
    assert light != dark and page.evaluate("theme()") == "dark"
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(paper) == light, "what was chosen goes before what the system says"
    page.set_viewport_size({"width": 340, "height": 640})
    expect(page.locator("#settings")).to_be_hidden()
    ask(page, "the fox " * 30, 2)
    for tab in ("Write", "Fill", "Compare", "Guard", "Chat"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 340, tab
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("System prompt")).to_be_visible()


def test_nothing_stands_in_the_way_of_a_screen_reader(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra `browser` is not installed")
    page.get_by_label("Ask for them and show them").check()
    turn = ask(page, "the fox", 2)
    turn.get_by_role("button", name="Judge").click()
    expect(turn.locator(".verdict")).to_be_visible()
    assert page.locator("#spoken").text_content(), "what is written is said as well"
    for theme in ("light", "dark"):
        page.evaluate("(theme) => setTheme(theme)", theme)
        for tab in ("Write", "Fill", "Compare", "Guard", "Chat"):
            page.get_by_role("tab", name=tab).click()
            found = axe.Axe().run(page).response["violations"]
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], (theme, tab)
