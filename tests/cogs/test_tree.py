"""Rules that every command keeps, whoever adds it: described, translated, guarded, placed, and on the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from discord import Locale, app_commands
from discord.app_commands import TranslationContextLocation as Where

import bot.cogs
from bot.app import App, counting_rules
from bot.client import StatsBot, build_bot, load_cogs
from bot.cogs.access import AnyCommand, Level, leaves, needs, needs_of
from bot.cogs.autocomplete import Index
from bot.cogs.face import Question
from bot.cogs.translate import CommandTranslator
from bot.cogs.tree import StatsTree
from bot.config import Settings
from bot.db.engine import Database
from bot.ingest.importer import Importer
from bot.locales import SOURCE, catalogue
from tools.command_reference import page

COMMANDS_PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
OTHERS = sorted(set(catalogue().languages) - {SOURCE})


@pytest.fixture
async def idle() -> AsyncIterator[StatsBot]:
    """A bot with all commands that is connected to nothing."""
    settings = Settings(_env_file=None)
    database = Database("sqlite+aiosqlite://")
    made = build_bot(App(settings, database, Importer(database, counting_rules(settings)), ()))
    await load_cogs(made)
    yield made
    await made.close()
    await database.close()


def commands(made: StatsBot) -> Iterator[AnyCommand]:
    for root in made.tree.get_commands():
        yield from leaves(root)


async def test_every_group_of_commands_is_loaded(idle: StatsBot) -> None:
    folder = Path(bot.cogs.__path__[0])
    there = {path.stem for path in folder.glob("*.py") if "\nasync def setup(" in path.read_text(encoding="utf-8")}
    assert {type(cog).__module__.rsplit(".", 1)[-1] for cog in idle.cogs.values()} == there


async def test_every_command_and_option_is_described(idle: StatsBot) -> None:
    lacking = []
    for command in commands(idle):
        if isinstance(command, app_commands.Command):
            texts = {command.qualified_name: command.description}
            texts |= {f"{command.qualified_name} {item.name}": str(item.description) for item in command.parameters}
            lacking += [name for name, text in texts.items() if len(text) < 8]  # discord.py's own stand-in is "…"
    assert lacking == []


async def test_every_command_says_what_it_needs_and_discord_is_told_no_less(idle: StatsBot) -> None:
    for root in idle.tree.get_commands():
        levels = set()
        for leaf in leaves(root):
            declared = needs_of(leaf)
            assert declared is not None, leaf.qualified_name
            levels.add(declared.level)
        shown = root.default_permissions
        told = None if shown is None else {name for name, given in shown if given}
        expected = {Level.ADMIN: {"manage_guild"}, Level.OWNER: {"administrator"}}
        assert told == expected.get(min(levels)), root.name


async def test_every_command_says_where_it_works_and_how_it_is_installed(idle: StatsBot) -> None:
    for root in idle.tree.get_commands():
        declared = [needs_of(leaf) for leaf in leaves(root)]
        anywhere = any(item is not None and item.dm for item in declared)
        told = root.to_dict(idle.tree)
        assert told["contexts"] == ([0, 1] if anywhere else [0]), root.name
        assert told["integration_types"] == [0], root.name


@pytest.mark.parametrize("tag", OTHERS)
async def test_every_command_option_and_choice_is_translated(idle: StatsBot, tag: str) -> None:
    language = catalogue().languages[tag]
    lacking: list[str] = []
    known = set()
    for command in idle.tree.walk_commands():
        if isinstance(command, app_commands.ContextMenu):
            continue
        known.add(command.qualified_name)
        entry = language.commands.get(command.qualified_name, {})
        lacking += [f"{command.qualified_name}: {part}" for part in ("name", "description") if not entry.get(part)]
        if isinstance(command, app_commands.Group):
            continue
        options = entry.get("options", {})
        for item in command.parameters:
            told = options.get(item.name, {})
            lacking += [
                f"{command.qualified_name} {item.name}: {part}"
                for part in ("name", "description")
                if not told.get(part)
            ]
            lacking += [f"choice: {c.name}" for c in item.choices if c.name not in language.choices]
        assert set(options) == {item.name for item in command.parameters}, command.qualified_name
    assert lacking == []
    assert set(language.commands) == known, "translations of commands that there are not"


async def test_translations_reach_discord(idle: StatsBot) -> None:
    translator = CommandTranslator(catalogue())
    command = idle.tree.get_command("link")
    assert isinstance(command, app_commands.Command)
    told = await command.get_translated_payload(idle.tree, translator)
    assert told["name_localizations"]["de"] == "verknüpfen"
    assert told["options"][0]["description_localizations"]["de"].startswith("Dein Spieler")
    assert "en-US" not in told["name_localizations"]
    context: Any = app_commands.TranslationContext(Where.command_name, command)
    assert await translator.translate(app_commands.locale_str("link"), Locale.french, context) is None


async def test_the_page_of_commands_is_fresh() -> None:
    fresh = await page()
    assert COMMANDS_PAGE.read_text(encoding="utf-8") == fresh, (
        "stale: run `python -m tools.command_reference docs/commands.md`"
    )


async def test_open_options_are_completed(idle: StatsBot) -> None:
    """What names something stored is offered while typing."""
    open_names = {"player", "map", "session", "server", "destination"}
    lacking = [
        f"{command.qualified_name} {item.name}"
        for command in commands(idle)
        if isinstance(command, app_commands.Command)
        for item in command.parameters
        if item.name in open_names and item.type.name == "string" and not item.autocomplete and not item.choices
    ]
    assert lacking == []


async def test_a_command_without_needs_is_refused(idle: StatsBot) -> None:
    @app_commands.command(name="open", description="For nobody in particular.")
    async def undeclared(interaction: Question) -> None: ...

    with pytest.raises(TypeError, match=r"/open does not say what it needs"):
        idle.tree.add_command(undeclared)


async def test_the_digest_changes_with_what_discord_is_told(idle: StatsBot) -> None:
    tree = idle.tree
    assert isinstance(tree, StatsTree)
    before = await tree.digest()
    assert await tree.digest() == before
    await tree.set_translator(CommandTranslator(catalogue()))
    translated = await tree.digest()
    assert translated != before

    @app_commands.command(name="more", description="One more command.")
    @needs(Level.MEMBER)
    async def more(interaction: Question) -> None: ...

    tree.add_command(more)
    assert await tree.digest() != translated


def test_an_index_that_was_never_read_offers_nothing() -> None:
    assert Index().players == ()
