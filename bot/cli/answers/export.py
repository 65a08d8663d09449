"""export: every fact as JSON lines."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.answers.asking import opened_database, refuse
from bot.cli.common import ExitCode, ServerOption, fail, load, run

if TYPE_CHECKING:
    from bot.db.engine import Database


def export_command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output if not given.")
    ] = None,
    *,
    server: ServerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, which an export always is.")] = False,
) -> None:
    """Write every fact as JSON lines, the same for the same files however they came in."""
    from bot.stats.errors import NotFoundError
    from bot.stats.export import dump_line, export

    settings = load()

    async def lines(database: Database) -> AsyncGenerator[str, None]:
        empty = True
        async with aclosing(export(database, server=server)) as records:
            async for record in records:
                empty = False
                yield dump_line(record) + "\n"
        if empty:
            raise NotFoundError(
                "nothing to export: "
                + ("no rounds are stored" if server is None else f"no rounds of a server {server!r} are stored")
            )

    async def main() -> None:
        async with opened_database(settings) as database:
            if output is None:
                async with aclosing(lines(database)) as found:
                    async for line in found:
                        sys.stdout.buffer.write(line.encode())
                sys.stdout.buffer.flush()
                return
            # Nobody shall take half an export for a whole one.
            unfinished = output.with_name(output.name + ".part")
            try:
                with unfinished.open("w", encoding="utf-8", newline="") as file:
                    async with aclosing(lines(database)) as found:
                        async for line in found:
                            file.write(line)
                unfinished.replace(output)
            finally:
                unfinished.unlink(missing_ok=True)

    try:
        run(main)
    except NotFoundError as error:
        refuse(error)
    except OSError as error:
        fail(f"cannot write {output or 'the export'}: {error.strerror or error}", ExitCode.PROBLEM)
