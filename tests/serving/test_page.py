"""The page is one file that runs under its own policy; its functions of values alone are right.

The functions run in Node.js, where it is installed; `test_page_in_browser.py` uses the page as a person does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.serving.page import page

DOCUMENT = page()[0].decode()
POLICY = page()[1]
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Elements(HTMLParser):
    """Every element with its attributes, and the text right in it; what is opened must be closed in order."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[str] = []
        self.labelled: set[int] = set()
        self.feed(document)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("input", "select", "textarea") and "label" in self._open:
            self.labelled.add(len(self.found))
        self.found.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self.found[-1][0] == self._open[-1]:
            self.found[-1][2].append(data)

    def named(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(text)) for name, attributes, text in self.found if name == tag]


PARTS = Elements(DOCUMENT)
SCRIPTS = [text for _, text in PARTS.named("script")]


def rules() -> dict[str, list[str]]:
    return {name: values for name, *values in (rule.split() for rule in POLICY.split("; "))}


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_lets_run_what_is_in_the_page_and_nothing_else() -> None:
    found = rules()
    assert found["default-src"] == found["base-uri"] == found["form-action"] == found["frame-ancestors"] == ["'none'"]
    assert found["connect-src"] == ["'self'"]
    assert found["script-src"] == [sha256(text) for text in SCRIPTS] and len(SCRIPTS) > 10
    assert found["style-src"] == [sha256(text) for _, text in PARTS.named("style")]
    assert "unsafe" not in POLICY and "http" not in POLICY and "*" not in POLICY


def test_the_page_is_one_file_and_asks_for_no_other() -> None:
    assert len(page()[0]) < 80_000
    assert not PARTS.named("img") and all(set(attributes) == set() for attributes, _ in PARTS.named("script"))
    assert [str(attributes["href"])[:5] for attributes, _ in PARTS.named("link")] == ["data:"]
    outside = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"]*|@import|url\(", DOCUMENT)
    assert outside == ["http://www.w3.org/2000/svg"], "the name of a language, not an address"


def test_text_can_become_nothing_but_text() -> None:
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"):
        assert word not in DOCUMENT, word
    for _, attributes, _ in PARTS.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], "the policy forbids it"


def test_every_field_has_a_label_and_every_id_is_used_once() -> None:
    ids = [attributes["id"] for _, attributes, _ in PARTS.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = {attributes.get("for") for attributes, _ in PARTS.named("label")}
    for number, (tag, attributes, _) in enumerate(PARTS.found):
        if tag in ("input", "select", "textarea"):
            assert number in PARTS.labelled or attributes["id"] in named or attributes.get("aria-label"), attributes
        for reference in ("for", "aria-controls", "aria-labelledby", "aria-describedby"):
            if reference in attributes:
                assert attributes[reference] in ids, (tag, reference)
    used = {name for script in SCRIPTS for name in re.findall(r'byId\("([\w-]+)"\)', script)}
    assert used <= set(ids), "a script asks for what is not there"


def test_the_folder_holds_what_the_page_is_made_of() -> None:
    assert '<link rel="stylesheet"' not in DOCUMENT and "<script src" not in DOCUMENT
    assert DOCUMENT.startswith("<!doctype html>\n<!--") and '<html lang="en">' in DOCUMENT


@pytest.fixture(scope="module")
def call() -> Callable[..., Any]:
    """Run functions of the page: an expression of JavaScript with `given` in it, for each of many values."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed; the functions of the page are run in it")
    pure = SCRIPTS[1:7]  # behind what chooses a theme, before what draws

    def run(expression: str, *values: Any) -> list[Any]:
        code = f"""
            const given = JSON.parse(require("fs").readFileSync(0, "utf-8"));
            const code = {json.dumps(chr(10).join(pure))};
            const asked = require("vm").runInThisContext(code + {json.dumps(f";(given) => ({expression})")});
            const told = ({{ message, hint }}) => ({{ failure: message, hint }});
            const answer = (one) => {{ try {{ return asked(one) ?? null }} catch (error) {{ return told(error) }} }};
            process.stdout.write(JSON.stringify(given.map(answer)));
        """
        done = subprocess.run([node, "-e", code], input=json.dumps(values), capture_output=True, text=True, check=True)
        found: list[Any] = json.loads(done.stdout)
        return found

    return run


READ = "((read) => given.map((part) => read(new Uint8Array(part))).flat())(byteReader())"


@settings(max_examples=5)
@given(st.lists(st.tuples(st.text(), st.sampled_from(["\n", "\r\n", "\r"])), min_size=1, max_size=6), st.data())
def test_events_are_the_same_however_their_bytes_are_cut(
    call: Callable[..., Any], texts: list[tuple[str, str]], data: st.DataObject
) -> None:
    wanted = [json.dumps({"text": f"{text} é😀"}, ensure_ascii=False) for text, _ in texts]
    pairs = zip(wanted, texts, strict=True)
    sent = "".join(f": alive{end}data: {value}{end}{end}" for value, (_, end) in pairs).encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=20)))
    random = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    ways = [random, [sent], [bytes([byte]) for byte in sent]]
    closing = [*b": so that a last return is known to stand alone\n"]
    for found in call(READ, *([[*part] for part in way] + [closing] for way in ways)):
        assert found == wanted


def test_lines_of_one_event_are_joined_and_other_fields_left_out(call: Callable[..., Any]) -> None:
    cases = {"data: a\ndata:b\n\n": ["a\nb"], "event: x\nid: 1\ndata\n\n": [""], "\n\n: c\n\n": [], "data: a\n": []}
    assert call("eventReader()(given)", *cases) == list(cases.values())


GROW = """(() => { const tree = emptyTree(); const made = [""];
  for (const [at, role] of given.turns) made.push(addTurn(tree, made[at % made.length], role, String(made.length)).id);
  for (const [at, by] of given.steps) step(tree, tree.turns[made[1 + at % (made.length - 1)]], by);
  const file = toFile("chat", tree, "be kind", "m"); const again = fromFile(JSON.stringify(file));
  return { tree, file, again: toFile("chat", again.tree, again.system, "m"), shown: path(tree).map((one) => one.id),
    places: Object.values(tree.turns).map((one) => place(tree, one)) }; })()"""


@settings(max_examples=5)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["user", "assistant"])), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 30), st.integers(-2, 2)), max_size=8),
)
def test_a_tree_keeps_every_version_and_comes_back_from_its_file(
    call: Callable[..., Any], turns: list[tuple[int, str]], steps: list[tuple[int, int]]
) -> None:
    (found,) = call(GROW, {"turns": turns, "steps": steps})
    tree = found["tree"]
    assert len(tree["turns"]) == len(turns) == sum(len(beside) for beside in tree["versions"].values())
    above = ""
    for shown in found["shown"]:
        assert tree["turns"][shown]["parent"] == above
        above = shown
    assert tree["versions"][above] == [], "the path that is shown goes to an end"
    for (at, of), turn in zip(found["places"], tree["turns"].values(), strict=True):
        assert tree["versions"][turn["parent"]][at - 1] == turn["id"] and of == len(tree["versions"][turn["parent"]])
    assert found["again"] == found["file"]


def test_files_that_are_no_conversations_are_refused_in_a_sentence(call: Callable[..., Any]) -> None:
    turn = {"id": "1", "parent": "", "role": "user", "text": "a"}
    token = {"name": "a", "bytes": [97], "logprob": -1, "top": []}
    sound = {"format": "textus-conversation", "version": 1, "kind": "chat", "turns": [turn]}

    def turns(*changed: Any) -> dict[str, Any]:
        return {**sound, "turns": list(changed)}

    wrong = {
        "no conversation": {**sound, "format": "x"},
        "version 2": {**sound, "version": 2},
        "`kind`": {**sound, "kind": "constructor"},
        "`turns`": {**sound, "turns": {}},
        "turn 1 is no object": turns("a"),
        "turn 2 has no id of its own": turns(turn, turn),
        "turn 1 follows a turn": turns({**turn, "parent": "1"}),
        'the role "model"': turns({**turn, "role": "model"}),
        "turn 1 has no text": turns({**turn, "text": 3}),
        "no list": turns({**turn, "tokens": 3}),
        "a token without": turns({**turn, "tokens": [{**token, "logprob": "<b>"}]}),
    }
    for words, found in zip(wrong, call("fromFile(JSON.stringify(given))", *wrong.values()), strict=True):
        assert words in found["failure"] and found["hint"]
    assert "not JSON" in call("fromFile(given)", "{")[0]["failure"]
    (found,) = call(
        "fromFile(JSON.stringify(given))", turns({**turn, "tokens": [{**token, "more": 1}], "failure": "x"})
    )
    assert found["tree"]["turns"]["1"] == {**turn, "tokens": [token]}, "nothing comes in that is not known"
    odd = {**sound, "chosen": {"": "__proto__", "__proto__": "1"}}
    assert call("fromFile(JSON.stringify(given)).tree.chosen", odd) == [{"": "1"}]


def test_tokens_of_both_shapes_spell_the_text_that_they_stand_for(call: Callable[..., Any]) -> None:
    # a character in two tokens, told of in both ways, and a stop string behind which nothing was sent
    names, parts = [" caf", "bytes:\\xc3", "bytes:\\xa9", "\n", "end"], [b" caf", b"\xc3", b"\xa9", b"\n", b"end"]
    chat = {
        "content": [
            {"token": name, "logprob": -1.0, "bytes": list(part), "top_logprobs": [{"token": name, "logprob": -1.0}]}
            for name, part in zip(names, parts, strict=True)
        ]
    }
    plain = {"tokens": names, "token_logprobs": [-1.0] * 5, "top_logprobs": [{"x": -3.0, name: -1.0} for name in names]}
    one, two = call(
        "piecesOf(given.text, tokensOf(given.logprobs))",
        *({"text": " café\n", "logprobs": each} for each in (chat, plain)),
    )
    for found in (one, two):
        assert [piece["text"] for piece in found] == [" caf", "é", "\n"]
        assert [len(piece["tokens"]) for piece in found] == [1, 2, 1]
    assert [other["name"] for other in two[0]["tokens"][0]["top"]] == [" caf", "x"], "the likeliest first"
    (cut,) = call("piecesOf('[EMAIL] and', given)", [{"name": "ann@", "bytes": [*b"ann@"], "logprob": -1, "top": []}])
    assert cut == [{"text": "[EMAIL] and", "tokens": []}], "what was redacted is not told of by its tokens"
    assert call("tokensOf(given)", None) == [[]]


def test_numbers_are_said_so_that_they_can_be_read(call: Callable[..., Any]) -> None:
    assert call("percent(given)", 0, 0.0001, 0.012, 0.5, 0.99999) == ["0.0 %", "< 0.1 %", "1.2 %", "50 %", "100.0 %"]
    assert call("surprise(Math.log(given))", 1, 0.5, 0.3, 0.1, 0.03, 0.001) == [0, 0, 1, 2, 3, 4]
    clock = {"asked": 0, "first": 250, "last": 2000}
    assert call("speed(given, 40)", clock) == ["40 tokens in 2.0 s · 20 tokens/s · first after 250 ms"]
    assert call("speed(given, 1, false)", clock) == ["about 1 token in 2.0 s · 0.5 tokens/s · first after 250 ms"]
    assert call("speed(given, 0)", clock) == [""]


def test_settings_are_sent_where_somebody_gave_them(call: Callable[..., Any]) -> None:
    fields = {"temperature": "0.7", "top_k": " 40 ", "max_tokens": "9", "seed": "", "stop": "a b\n\n\\n\\n"}
    turns = [{"role": "user", "text": "hi"}]
    chat, bare = call(
        "chatRequest('m', given.system, given.turns, readSettings(given.fields), given.top)",
        {"system": "be kind", "turns": turns, "fields": fields, "top": 3},
        {"system": "", "turns": turns, "fields": {}, "top": -1},
    )
    said = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    streamed = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}
    given_too = {"temperature": 0.7, "top_k": 40, "stop": ["a b", "\n\n"], "max_completion_tokens": 9}
    assert chat == {**streamed, **given_too, "messages": said, "logprobs": True, "top_logprobs": 3}
    assert bare == {**streamed, "messages": said[1:]}
    (text,) = call("textRequest('m', given, {}, 2)", [{"text": "Once"}, {"text": " upon"}])
    assert text == {**streamed, "prompt": "Once upon", "max_tokens": 100, "logprobs": 2}
    wrong = [{"temperature": "warm"}, {"top_p": "1.5"}, {"top_k": "2.5"}, {"seed": "1e30"}, {"min_p": "NaN"}]
    for fields, found in zip(wrong, call("readSettings(given)", *wrong), strict=True):
        ((name, value),) = fields.items()
        assert name.replace("_", " ") in found["failure"] and value in found["failure"] and "number" in found["hint"]


def test_the_servers_sentence_and_its_hint_are_told_apart(call: Callable[..., Any]) -> None:
    message = "`n` is 0 (give 1 or more)"
    bodies = [
        {"error": {"message": message, "code": "content_filter"}},
        {"error": {"message": "no (a) thing"}},
        None,
        {"error": {}},
    ]
    said = call("((found) => [found.message, found.hint, found.guarded])(failureOf(given, 503, '4'))", *bodies)
    assert said[:2] == [["`n` is 0", "give 1 or more", True], ["no (a) thing", "try again in 4 s", False]]
    assert said[2] == said[3] == ["the server answered 503", "try again in 4 s", False]


def test_the_guards_verdict_names_what_was_found_first(call: Callable[..., Any]) -> None:
    plain = {
        "flagged": True,
        "categories": {"hate": True, "violence": False},
        "category_scores": {"hate": 0.4, "violence": 0.45},
    }
    own = {**plain, "textus": {"action": "redact", "categories": ["credit_card"], "scores": {"credit_card": 1.0}}}
    clean = {"flagged": False, "categories": {}, "category_scores": {}}
    flagged, redacted, passes = call("verdictOf(given)", plain, own, clean)
    assert (flagged["action"], flagged["words"]) == ("flagged", "is flagged: hate")
    assert [name for name, *_ in flagged["rows"]] == ["hate", "violence"]
    assert redacted["words"] == "passes with parts redacted: credit card" and redacted["rows"][0] == [
        "credit_card",
        1.0,
        True,
    ]
    assert (passes["action"], passes["words"], passes["rows"]) == ("allow", "passes", [])
    assert call("ending(given)", "stop", "length", "content_filter", "other")[2:] == ["stopped by the guard", "other"]


def test_the_nearness_of_vectors_is_their_cosine(call: Callable[..., Any]) -> None:
    pairs = [[[1, 0], [2, 0]], [[1, 0], [0, 3]], [[1, 1], [-2, -2]], [[0, 0], [1, 1]], [[3, 4], [4, 3]]]
    assert call("cosine(...given)", *pairs) == pytest.approx([1, 0, -1, 0, 24 / 25])
