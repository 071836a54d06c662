"""The errors that callers see. They stand alone so that the command line starts without NumPy."""

from __future__ import annotations

__all__ = [
    "DataFileError",
    "DivergedError",
    "InputError",
    "ModelFileError",
    "ModelFileWarning",
    "ProbeWarning",
]

_LONGEST = 1500
"""Characters of a message; what is longer repeats what came."""


class InputError(ValueError):
    """An argument broke a rule; the message names the argument, the rule and what came."""

    def __init__(self, *args: object) -> None:
        # A name out of a file may be in it, and no screen shows a lone surrogate or should obey an escape.
        super().__init__(*(_shown(arg) if isinstance(arg, str) else arg for arg in args))


class DivergedError(InputError):
    """Networks diverged in an experiment that needs all of them; a smaller learning rate may help."""


class ModelFileError(InputError):
    """A model file cannot be read as a network; the message names the place in the file."""


class DataFileError(InputError):
    """A file of data or results cannot be read; the message names the file and what is wrong with it."""


class ModelFileWarning(UserWarning):
    """A model file was read, but something in it is odd; the message names the place in the file."""


class ProbeWarning(UserWarning):
    """Numbers were computed, but may not be about what was meant; the message says why and what to do."""


def printable(text: object, limit: int = 80) -> str:
    r"""Return `text` for a message: on one line, without control characters, at most `limit` long.

    Examples
    --------
    >>> printable("dense\n\x1b[31m1")
    'dense??[31m1'
    """
    letters = text if isinstance(text, str) else str(text)
    shown = "".join(c if c.isprintable() else "?" for c in letters[: limit + 1])
    return shown if len(letters) <= limit else shown[: limit - 3] + "..."


def _shown(message: str) -> str:
    return "\n".join(printable(line, _LONGEST) for line in message[: _LONGEST + 1].split("\n"))
