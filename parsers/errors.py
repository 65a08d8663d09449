"""The one error that reading a round-stats file can end in."""

from __future__ import annotations

_SHOWN_LENGTH = 80


def shown(value: str) -> str:
    """Return `value` quoted, escaped to printable ASCII and cut to 80 characters: fit for a log or a message."""
    # The cut comes first as well: a line of 64 KiB is not worth escaping whole.
    text = ascii(value[:_SHOWN_LENGTH])
    if len(value) <= _SHOWN_LENGTH and len(text) <= _SHOWN_LENGTH:
        return text
    return text[: _SHOWN_LENGTH - 3] + "..."


class ParseError(ValueError):
    """A file, or a line of it, is not what its format says.

    Attributes:
        file: name of the file as the caller gave it.
        line: line number from 1, or None where the file as a whole is meant (its name, its emptiness).
        expected: what the format asks for.
        found: what stood there instead, shortened and printable.
        truncated: True where the file looks cut short (no end of line after the last one), so that waiting for the
            rest may heal it.
    """

    def __init__(self, file: str, line: int | None, expected: str, found: str, *, truncated: bool = False) -> None:
        self.file = file
        self.line = line
        self.expected = expected
        self.found = found
        self.truncated = truncated
        # The name may be the very thing that is wrong, so it is not trusted to be printable either.
        shown_file = file if len(file) <= 2 * _SHOWN_LENGTH and file.isascii() and file.isprintable() else shown(file)
        place = shown_file if line is None else f"{shown_file}, line {line}"
        super().__init__(f"{place}: expected {expected}, found {found}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.file, self.line, self.expected, self.found, self.truncated)


def _rebuild(file: str, line: int | None, expected: str, found: str, truncated: bool) -> ParseError:
    """Make the error again on the other side of a process border, where keyword arguments do not travel."""
    return ParseError(file, line, expected, found, truncated=truncated)
