"""Every error that a user can meet, drawn as one tree.

```
TextusError                     one sentence that says what, where and what was got; then a hint
├── ConfigError                 a setting that is unknown, of the wrong type, or out of range
├── InputError                  a file or folder that cannot be read as text
├── CorpusError                 documents that do not suffice for what was asked
├── TokenizerError              a vocabulary that cannot be learnt, loaded or used
├── ArtefactError               a directory of ours that is missing, damaged or of another kind
│   └── CheckpointError         the same for a model
├── ResourceError               disk, memory or permission refused by the machine
├── DivergenceError             training that stopped because the loss went wrong (exit code 1)
├── NotComparable               scores that must not be set side by side (exit code 1)
├── SaidElsewhere               another process of this run has failed, and has said why (its exit code)
└── Interrupted                 a signal asked us to stop, and the work is saved (exit code 130 or 143)
```

Users' mistakes raise one of these; our own mistakes are assertions.
"""

from __future__ import annotations


class TextusError(Exception):
    """Say in one sentence what is wrong and where, and in `hint` what to do about it."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n\nhint: {self.hint}" if self.hint else self.message


class ConfigError(TextusError):
    """Report a setting that is unknown, of the wrong type, or out of range."""


class InputError(TextusError):
    """Report a file or folder of the user's that cannot be read as text."""


class CorpusError(TextusError):
    """Report documents that do not suffice for what was asked."""


class TokenizerError(TextusError):
    """Report a vocabulary that cannot be learnt, loaded or used."""


class ArtefactError(TextusError):
    """Report a directory of ours that is missing, damaged or of another kind."""


class CheckpointError(ArtefactError):
    """Report a model directory that is missing, damaged or of another kind."""


class ResourceError(TextusError):
    """Report disk, memory or permission refused by the machine."""


class DivergenceError(TextusError):
    """Report a training run that was stopped because its loss went wrong."""

    exit_code = 1


class NotComparable(TextusError):
    """Report scores that differ in tokenizer or data and must not be set side by side."""

    exit_code = 1


class SaidElsewhere(TextusError):
    """Report that another process of the same run has failed; it has said why, and that is said once."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = 2) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class Interrupted(TextusError):
    """Report that a signal stopped the work and that what was done is saved."""

    def __init__(self, message: str, *, hint: str = "", signal_number: int = 2) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signal_number
