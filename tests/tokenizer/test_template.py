"""Chat templates, held against transformers' own rendering."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.errors import TokenizerError
from textus.tokenizer.template import CHATML, ChatTemplate

LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}"
    "{% set before = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set before = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + (before if loop.first else '') + message['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
MARKED = (
    "{%- for message in messages %}\n"
    "{{- '<|im_start|>' + message['role'] + '\\n' }}\n"
    "{%- if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
HELPERS = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for message in messages %}{% if loop.index > 40 %}{% break %}"
    "{% endif %}{{ message | tojson }}{{ message['content'] | trim | upper }}{% endfor %}"
)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TEMPLATES = {"chatml": CHATML, "llama2": LLAMA2, "marked": MARKED, "helpers": HELPERS}

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Co")), min_size=1, max_size=20)


@st.composite
def talks(draw):
    said = draw(st.lists(words, min_size=2, max_size=6))
    turns = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said)]
    system = draw(st.one_of(st.none(), words))
    return ([{"role": "system", "content": system}] if system else []) + turns


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=30)
@given(talks(), st.booleans())
def test_it_writes_what_transformers_writes(name, messages, begin):
    render = pytest.importorskip("transformers.utils.chat_template_utils").render_jinja_template
    found = ChatTemplate(TEMPLATES[name], TOKENS).render(messages, begin_answer=begin)
    theirs = render([messages], chat_template=TEMPLATES[name], add_generation_prompt=begin, **TOKENS)
    (wanted,) = theirs[0] if isinstance(theirs, tuple) else theirs
    assert found == wanted


def test_a_directory_keeps_it_and_says_what_ends_an_answer(tmp_path: Path) -> None:
    assert ChatTemplate.load(tmp_path) is None
    given = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "additional_special_tokens": ["<end>", "<x>"]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(given))
    ChatTemplate(CHATML, {"bos_token": "<s>"}).save(tmp_path, "<end>")
    kept = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert (kept["bos_token"], kept["eos_token"], kept["additional_special_tokens"]) == ("<s>", "<end>", ["<x>"])
    assert ChatTemplate.load(tmp_path) == ChatTemplate(CHATML, {"bos_token": "<s>", "eos_token": "<end>"})


@pytest.mark.parametrize(
    "kept", [CHATML, [{"name": "tools", "template": "x"}, {"name": "default", "template": CHATML}]]
)
def test_older_directories_keep_it_in_the_tokenizer_s_settings(kept: object, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": kept, "bos_token": "<s>"}))
    assert ChatTemplate.load(tmp_path) == ChatTemplate(CHATML, {"bos_token": "<s>"})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a\n{% for x in %}", "line 2"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0]['content'].nothing.more }}", "has no attribute"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe|immutable|not safe|not allowed|callable"),
        ("{% for x in range(10 ** 9) %}{% endfor %}", "ange too big"),
    ],
)
def test_what_a_template_does_wrong_is_said_in_its_words(source: str, words: str) -> None:
    with pytest.raises(TokenizerError, match=words):
        ChatTemplate(source).render([{"role": "user", "content": "Hi"}])
