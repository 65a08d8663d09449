"""The page that lists every command (`docs/commands.md`), made out of the command tree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from discord import app_commands

from bot.cogs.access import AnyCommand, Level, leaves, needs_of
from bot.cogs.tree import StatsTree

HEAD: Final = """# Commands in Discord

Made by `python -m tools.command_reference docs/commands.md` out of the command tree; a test fails where it is stale.
Every command answers in the language of the Discord server, or of the person where only he sees the answer.

| who | may |
|---|---|
| everybody | ask about games, and look after what is kept about himself |
| viewers | see where files are and what is wrong; people with a viewer role of `/setup start` |
| admins | set this Discord server up and act on its game servers; an admin role, or "Manage Server" while none is set |
| operator | act on what all Discord servers share; the owner of the Discord application, or its team |

Discord hides from people what it knows they may not use; the bot checks again, also at every button.
"""

WHO: Final = {Level.MEMBER: "everybody", Level.VIEWER: "viewers", Level.ADMIN: "admins", Level.OWNER: "operator"}


def reference(tree: StatsTree) -> str:
    """Return the page."""
    parts = [HEAD]
    for root in sorted(tree.get_commands(), key=lambda item: item.name):
        parts.extend(_entry(leaf) for leaf in sorted(leaves(root), key=lambda item: item.qualified_name))
    return "\n".join(parts)


def _entry(command: AnyCommand) -> str:
    declared = needs_of(command)
    assert declared is not None  # noqa: S101 - the tree takes none without
    where = "in a Discord server or a direct message" if declared.dm else "in a Discord server"
    seen = "only you see the answer" if declared.private else "everybody sees the answer"
    facts = f"For {WHO[declared.level]}, {where}; {seen}."
    if isinstance(command, app_commands.ContextMenu):
        return f"## {command.name} (in the menu of a {command.type.name})\n\n{facts}\n"
    text = f"## /{command.qualified_name}\n\n{command.description}\n\n{facts}\n"
    return text + _options(command.parameters)


def _options(parameters: Iterable[app_commands.Parameter]) -> str:
    rows = [f"| `{item.name}` | {item.description} | {_takes(item)} |" for item in parameters]
    return "\n| option | what | takes |\n|---|---|---|\n" + "\n".join(rows) + "\n" if rows else ""


def _takes(item: app_commands.Parameter) -> str:
    facts: list[Any] = ["needed"] if item.required else []
    if item.choices:
        facts.append(", ".join(choice.name for choice in item.choices))
    elif item.autocomplete:
        facts.append("offered while you type")
    else:
        facts.append(item.type.name)
    if item.min_value is not None or item.max_value is not None:
        facts.append(f"{item.min_value} to {item.max_value}")
    return "; ".join(str(fact) for fact in facts)
