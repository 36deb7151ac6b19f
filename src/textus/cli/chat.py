"""`textus chat`: talk with a model in the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from textus import config as settings
from textus.cli.arguments import Parser, parse, say, show
from textus.cli.sampling import add_flags, add_gate, add_model, open_gate, open_model, sampling
from textus.errors import ConfigError, InputError, TextusError

HELP = """/regenerate        another answer to your last message
/edit TEXT         say something else instead of your last message
/edit N TEXT       the same for your message number N; what came after it goes
/system TEXT       how to answer, from now on; without TEXT: nothing special
/set KEY=VALUE     a sampling setting, such as temperature=0.5
/history           what was said, numbered
/undo              take back your last message and its answer
/save FILE         keep the conversation
/load FILE         go on with one that was kept
/quit              end (so does Ctrl-D)"""


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus chat",
        description="Talk with a model. A line that begins with / is a command; /help lists them.",
    )
    add_model(made)
    made.add_argument("--system", metavar="TEXT", help="how to answer, before all that is said")
    made.add_argument("--load", metavar="FILE", help="go on with a conversation that was saved")
    made.add_argument("--save", metavar="FILE", help="keep the conversation when it ends")
    add_gate(made)
    add_flags(made)
    options = parse(made, arguments)
    from textus.verbs.generate import run_sampling

    config = sampling(options, run_sampling(Path(options.model)))
    talk = Talk(open_model(options), config, _shower(options), open_gate(options))
    if options.load:
        talk.load(options.load)
    if options.system is not None:
        talk.system(options.system)
    talk.listen(_lines(options))
    if options.save:
        talk.save(options.save)
    if options.json:
        show(options, "", talk.as_dict())


class Talk:
    """A conversation under way: what was said, and how the next answer is written."""

    def __init__(self, opened: Any, config: Any, tell: Callable[[str], None], gate: Any = None) -> None:
        from textus.verbs.chat import chat_engine, form_of

        self._engine = chat_engine(opened)
        self._opened, self._config, self._tell, self._gate = opened, config, tell, gate
        self._layout = form_of(opened)
        self._messages: list[Any] = []
        self._tries = 0

    def listen(self, lines: Iterable[str]) -> None:
        """Take lines until they end or one says to; a mistake in one ends nothing."""
        for line in lines:
            if line.strip() == "/quit":
                return
            try:
                self.take(line.rstrip("\n"))
            except TextusError as error:
                say(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))

    def take(self, line: str) -> None:
        """Do what a line says: a command, or a message to answer."""
        if not line.strip():
            return
        if not line.startswith("/"):
            self._say(line)
            return
        word, _, rest = line[1:].partition(" ")
        if word == "set":
            self._config = settings.override(self._config, rest)
        elif word in ("system", "save", "load", "edit"):
            getattr(self, word)(rest)
        elif word in ("regenerate", "undo", "history", "help") and not rest:
            getattr(self, word)()
        else:
            raise ConfigError(
                f"no command `/{word}`" if not rest else f"`/{word}` takes nothing", hint="/help lists them"
            )

    def help(self) -> None:
        """List the commands."""
        say(HELP)

    def system(self, text: str) -> None:
        """Set or take away the turn before all others."""
        from textus.decoding.chat import Message

        spoken = [message for message in self._messages if message.role != "system"]
        self._messages = ([Message("system", text)] if text else []) + spoken

    def edit(self, text: str) -> None:
        """Replace one of the user's messages, forget what came after it, and answer anew."""
        first, _, rest = text.partition(" ")
        places = self._asked()
        number = len(places)
        if first.isdecimal() and rest:
            number, text = int(first), rest
        if not text or not 1 <= number <= len(places):
            raise ConfigError(f"nothing to edit: you have said {len(places)} things", hint="/edit TEXT or /edit N TEXT")
        self._say(text, self._messages[: places[number - 1]])

    def regenerate(self) -> None:
        """Answer the last message again, with other random numbers."""
        places = self._asked()
        if not places:
            raise ConfigError("nothing to answer again", hint="say something first")
        tries, before = self._tries + 1, self._messages[: places[-1]]
        self._say(self._messages[places[-1]].content, before, tries)

    def undo(self) -> None:
        """Take back the last message and its answer."""
        if not (places := self._asked()):
            raise ConfigError("nothing to take back", hint="say something first")
        self._messages = self._messages[: places[-1]]

    def history(self) -> None:
        """Show what was said."""
        number = 0
        for message in self._messages:
            number += message.role == "user"
            say(f"{number if message.role == 'user' else '':>3} {message.role}: {message.content}")

    def save(self, name: str) -> None:
        """Write the conversation as JSON."""
        from textus import storage

        path = _named(name)
        with storage.refusals(path):
            storage.write_json(path, self.as_dict())

    def load(self, name: str) -> None:
        """Read a conversation from JSON."""
        from textus import storage
        from textus.decoding.chat import Message

        path = _named(name)
        if not path.is_file():
            raise InputError(f"{path}: no such file", hint="/save and --save write one")
        values = storage.read_json(path, InputError)
        turns = values.get("messages") if isinstance(values, dict) else None
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            raise InputError(f"{path}: no conversation", hint='it should hold {"messages": [{"role", "content"}, ...]}')
        self._messages = [settings.build(Message, turn, str(path)) for turn in turns]

    def as_dict(self) -> dict[str, Any]:
        """Return the conversation and how it was written."""
        from textus.verbs.generate import strategy_for

        return {
            "messages": [{"role": message.role, "content": message.content} for message in self._messages],
            "sampling": strategy_for(self._opened, self._config).describe(),
            "order": self._config.order,
            "seed": self._config.seed,
        }

    def _asked(self) -> list[int]:
        return [place for place, message in enumerate(self._messages) if message.role == "user"]

    def _say(self, text: str, before: list[Any] | None = None, tries: int = 0) -> None:
        """Answer a message; the conversation stays as it was if that cannot be done, or a guard does not let it."""
        from textus.decoding.chat import Message
        from textus.verbs.chat import answer

        messages = [*(self._messages if before is None else before), Message("user", text)]
        config = settings.replace(self._config, {"seed": (self._config.seed + tries) % 2**63})
        pieces, dropped = answer(self._opened, messages, config, self._layout, self._engine, self._gate)
        if dropped:
            say(f"(the context is full: the oldest {dropped} exchanges are left out)")
        said, blocked = "", ""
        try:
            for piece in pieces:
                blocked = piece.why if piece.finish_reason == "content_filter" else ""
                shown = piece.text if said else piece.text.lstrip()
                said += shown
                self._tell(shown)
        except KeyboardInterrupt:
            say("(stopped)")
        self._tell("\n")
        if blocked:
            say(f"(stopped: {blocked})")
            return
        self._messages, self._tries = [*messages, Message("assistant", said.rstrip())], tries


def _named(name: str) -> Path:
    if not name.strip():
        raise ConfigError("no file was named", hint="as in /save talk.json")
    return Path(name.strip())


def _shower(options: argparse.Namespace) -> Callable[[str], None]:
    def tell(text: str) -> None:
        print(text, end="", flush=True)

    return (lambda text: None) if options.json else tell


def _lines(options: argparse.Namespace) -> Iterable[str]:
    """Yield what is typed; on a terminal with a prompt, and with the arrows where Python has readline."""
    if sys.stdin is None:
        raise InputError("stdin: closed", hint="type, or pipe messages in, one a line")
    if not sys.stdin.isatty() or options.json:
        yield from sys.stdin
        return
    with suppress(ImportError):
        import readline  # noqa: F401  editing and history of `input`
    say("/help lists the commands; Ctrl-D ends.")
    while True:
        try:
            yield input("> ")
        except EOFError:
            return
