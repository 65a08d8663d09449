"""The one error that reading a round-stats file can end in."""


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
        place = file if line is None else f"{file}, line {line}"
        super().__init__(f"{place}: expected {expected}, found {found}")
