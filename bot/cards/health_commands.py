"""What a service tells people to type on the machine, as the slash command that does the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.cogs.text import code

PROGRAM: Final = ["python", "-m", "bot"]

LONGEST_OPTION: Final = 120
"""Characters of an option's value that are shown; the names of stats files are shorter."""

Mention = Callable[[str], str]
"""Returns a slash command, such as `sync now`, as people can tap it."""


@dataclass(frozen=True, slots=True)
class Slash:
    """A slash command with its options, in order."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


_OF_DESTINATION: Final = {
    ("mirror", "sync"): "mirror backfill",
    ("mirror", "backfill"): "mirror backfill",
    ("mirror", "pause"): "mirror pause",
    ("mirror", "resume"): "mirror resume",
    ("mirror", "verify"): "mirror verify",
    ("reconcile", "run"): "mirror reconcile",
}
"""Commands whose one argument is a destination."""

_NO_SLASH: Final = frozenset({"--accept", "--reason", "--connect"})
"""Options of commands that are for the machine alone."""


def slash_for(command: str) -> Slash | None:
    """Return the slash command that does what a typed one does; None where there is none.

    Args:
        command: as services tell it, beginning with `python -m bot`.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:3] != PROGRAM or _NO_SLASH & set(words):
        return None
    arguments, options = _parsed(words[3:])
    match arguments:
        case ["sync"]:
            return Slash("sync restore" if "restore" in options else "sync now", _kept(options, "server"))
        case ["diagnose"]:
            return Slash("sync diagnose", _kept(options, "server", "destination", "file"))
        case ["files", "retry", *_]:
            return Slash("sync failed", _kept(options, "server"))
        case ["mirror", "force", name]:
            way = {"destination": options.get("to") or options.get("from", ""), "file": name}
            direction = {"direction": "from"} if "from" in options else {}
            return Slash("mirror force", way | direction | _kept(options, "server"))
        case ["reconcile", "show", run]:
            return Slash("mirror runs", {"run": run})
        case ["jobs", "show" | "cancel" as verb, job_id]:
            return Slash(f"jobs {verb}", {"job": job_id})
        case [group, verb, *rest] if (group, verb) in _OF_DESTINATION and len(rest) <= 1:
            dry = {"dry_run": "True"} if "dry-run" in options else {}
            return Slash(_OF_DESTINATION[group, verb], ({"destination": rest[0]} if rest else {}) | dry)
    return None


def _parsed(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Sort words into arguments and options; an option without a value has an empty one."""
    flags = {"restore", "dry-run", "all", "deep"}
    arguments: list[str] = []
    options: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            name = word[2:]
            options[name] = "" if name in flags else next(rest, "")
        else:
            arguments.append(word)
    return arguments, options


def _kept(options: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: options[name] for name in names if options.get(name)}


def command_told(command: str, mention: Mention) -> str:
    """Return a command for a person in Discord: one to tap with its options, or what to type on the machine."""
    slash = slash_for(command)
    if slash is None:
        return f"`{code(command, 200)}`"
    options = " ".join(f"{name}:`{code(value, LONGEST_OPTION)}`" for name, value in slash.options.items())
    return f"{mention(slash.name)} {options}".rstrip()
