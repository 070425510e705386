"""The library's own error, and the words that its messages share."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

LARGEST = 2**63 - 1  # the largest whole number of 64 bits
MOST_SHOWN = 100  # characters of a received value that a message repeats
MOST_WRITTEN = 3000  # characters of a message

# Writes a long list or array no further than its beginning is shown; all else is written whole, and shortened then.
_WRITER = reprlib.Repr()
_WRITER.maxstring = _WRITER.maxlong = _WRITER.maxother = LARGEST


class InvalidInput(ValueError):
    """An argument that is refused: one line with its name, its meaning, what is allowed and what was received.

    Attributes
    ----------
    refuses_input : True; it tells a program that runs many trials that the caller is to blame, and no trial
    """

    refuses_input = True

    def __init__(self, message: str) -> None:
        super().__init__(_shortened(" ".join(message.split()), MOST_WRITTEN))


def received(value: object) -> str:
    """A value as messages repeat it: its `repr`, shortened, in one line."""
    try:
        return _shortened(" ".join(_WRITER.repr(value).split()), MOST_SHOWN)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number too long to write"


def unknown(what: str, got: object, known: Iterable[str]) -> str:
    """One line for a name that is not there, with the nearest one that is."""
    known = list(known)
    near = difflib.get_close_matches(str(got)[:MOST_SHOWN], known, n=1, cutoff=0.5)
    guess = f": did you mean {near[0]}?" if near else ""
    return f"unknown {what} {received(str(got))}{guess} (one of {', '.join(known)})"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 25]}... ({len(text)} characters)"
