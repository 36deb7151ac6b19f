"""What `make docs` adds to the pages: those kept outside docs/, the reference, and places in the navigation.

MkDocs calls the functions with `on_` (mkdocs.org, "hooks"). Nothing of Textus that is heavy is imported.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUTSIDE = {"results.md": "benchmarks/RESULTS.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
"""Pages of the site that are kept elsewhere, by their place in it."""
WIDTH = 100
_MAPPED = re.compile(r"^\| \[[^]]+\]\((\w+\.md)\)", re.MULTILINE)
_LINK = re.compile(r"\[([^][]*)\]\(([^)#:]+)(#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Name in the navigation what only the map in index.md names: a new page needs a line there and no more."""
    sys.path.insert(0, str(ROOT / "src"))
    before = ""
    for page in _MAPPED.findall((ROOT / "docs/index.md").read_text("utf-8")):
        if not _stands(config.nav, page):
            assert _put_behind(config.nav, before, page), f"mkdocs.yml: no place in nav for {page}"
        before = page
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are kept elsewhere or made of the sources."""
    from mkdocs.structure.files import File

    made = {place: (ROOT / path).read_text("utf-8") for place, path in OUTSIDE.items()}
    made |= {"reference/commands.md": _commands(), "reference/python.md": _python()}
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    """Turn links between files of the repository into links between pages, or into words where there is no page."""
    place = page.file.src_uri
    here = posixpath.dirname(OUTSIDE.get(place, f"docs/{place}"))

    def turned(found: re.Match[str]) -> str:
        words, target, anchor = found[1], posixpath.normpath(posixpath.join(here, found[2])), found[3] or ""
        pages = {path: name for name, path in OUTSIDE.items()}
        if target in pages:
            target = f"docs/{pages[target]}"
        if target.startswith("docs/"):
            return f"[{words}]({posixpath.relpath(target, posixpath.dirname(f'docs/{place}'))}{anchor})"
        return words

    parts = re.split(r"(?ms)(^```.*?^```$)", markdown)  # what is fenced stays as it is
    return "".join(part if index % 2 else _LINK.sub(turned, part) for index, part in enumerate(parts))


def _stands(nav: Any, page: str) -> bool:
    if isinstance(nav, str):
        return nav == page
    return any(_stands(part, page) for part in (nav.values() if isinstance(nav, dict) else nav))


def _put_behind(nav: Any, before: str, page: str) -> bool:
    """Put a page behind another in whatever list that one stands in, and tell whether it was found."""
    for index, part in enumerate(nav if isinstance(nav, list) else nav.values()):
        if isinstance(nav, list) and before in (part, *(part.values() if isinstance(part, dict) else ())):
            nav.insert(index + 1, page)
            return True
        if isinstance(part, dict | list) and _put_behind(part, before, page):
            return True
    return False


def _commands() -> str:
    """Write out the help of every verb, as a terminal of `WIDTH` columns shows it."""
    from textus.cli.main import VERBS, main

    os.environ["COLUMNS"] = str(WIDTH)
    parts = ["# Commands\n\nWhat `--help` says, verb by verb. Settings, `key=value`, are on [a page](../settings.md)."]
    for verb, words in VERBS.items():
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            main([verb, "--help"])
        parts.append(f"## textus {verb}\n\n{words[0].upper()}{words[1:]}.\n\n```text\n{said.getvalue().rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def _python() -> str:
    """Name every public function and class; mkdocstrings writes them out."""
    import textus

    parts = ["# Python\n\nAll of `import textus`. What a module has beside these may change without notice."]
    for title, is_verb in (("Functions", True), ("Types", False)):
        parts.append(f"## {title}")
        named = (name for name in textus._PLACES if name[0].islower() == is_verb)
        parts += [f"::: textus.{textus._PLACES[name]}.{name}" for name in named]
    return "\n\n".join(parts) + "\n"
