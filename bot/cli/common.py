"""What every command shares: settings, exit codes, one place where errors become messages, and output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from bot.config import GameServerSettings, Settings

T = TypeVar("T")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
ServerOption = Annotated[
    str | None, typer.Option("--server", help="Name of the game server; all of them if not given.")
]


class ExitCode(IntEnum):
    """What the command line's exit codes mean. They are part of its interface."""

    OK = 0
    PROBLEM = 1  # it ran, and there is something to look at: files that failed, differences, an empty answer
    USAGE = 2  # the command was typed wrong
    CONFIG = 3  # a setting is wrong or missing
    SERVER = 4  # a game server cannot be reached or let us not in
    DATABASE = 5  # the database cannot be used
    ARCHIVE = 6  # the archive cannot be read or written
    DESTINATION = 7  # a destination of copies cannot be reached or let us not in
    INTERRUPTED = 130  # Ctrl-C


def fail(message: str, code: ExitCode) -> NoReturn:
    """End the command with a message on stderr."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


def load() -> Settings:
    """Read the settings and set logging up; end the command with a clear message where they are wrong."""
    from bot.config import ConfigError, load_settings
    from bot.log import configure_logging

    try:
        settings = load_settings()
    except ConfigError as error:
        fail(f"{error}. See .env.example, or run `python -m bot setup`", ExitCode.CONFIG)
    configure_logging(settings.log_level, settings.log_format, settings.secrets())
    return settings


def configured_servers(settings: Settings) -> list[GameServerSettings]:
    """Return the configured game servers; end the command with a clear message where the TOML file is wrong."""
    from bot.config import ConfigError

    try:
        return settings.servers()
    except ConfigError as error:
        fail(str(error), ExitCode.CONFIG)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a command's coroutine; turn every expected error into one message and its exit code.

    Unexpected errors are bugs and keep their traceback, unless DEBUG is not wanted: they end with code 1.
    """
    from bot.config import ConfigError
    from bot.db.engine import DatabaseError
    from bot.ingest.archive import ArchiveError
    from bot.ingest.game_server_errors import GameServerError
    from bot.ingest.lease import LeaseLostError

    try:
        return asyncio.run(main())
    except ConfigError as error:
        fail(str(error), ExitCode.CONFIG)
    except DatabaseError as error:
        fail(str(error), ExitCode.DATABASE)
    except ArchiveError as error:
        fail(str(error), ExitCode.ARCHIVE)
    except LeaseLostError as error:
        fail(str(error), ExitCode.PROBLEM)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.OK) from None
    except GameServerError as error:
        fail(str(error), ExitCode.SERVER)
    except Exception as error:
        from bot.mirror.errors import StoreError

        if isinstance(error, StoreError):
            fail(str(error), ExitCode.DESTINATION)
        raise


def print_json(value: Any) -> None:
    """Print a value as JSON for programs: UTF-8, sorted keys, two spaces."""
    typer.echo(json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2))
