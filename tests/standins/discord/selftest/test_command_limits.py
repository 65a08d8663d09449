"""Registering commands: accepted at each limit, refused beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standins.discord import World
from tests.standins.discord.model import Json
from tests.standins.discord.selftest.raw import Raw


def command(name: str = "stats", **more: Any) -> Json:
    return {"name": name, "type": 1, "description": "Shows something.", **more}


def option(name: str = "player", type_: int = 3, **more: Any) -> Json:
    return {"name": name, "type": type_, "description": "Which one.", **more}


def choice(name: str = "a", value: Any = "a") -> Json:
    return {"name": name, "value": value}


def with_options(*options: Json) -> Json:
    return command(options=list(options))


MENU = {"name": "Show stats", "type": 2}
LENGTH = "BASE_TYPE_BAD_LENGTH"
TOO_LONG = "BASE_TYPE_MAX_LENGTH"
BAD_NAME = "APPLICATION_COMMAND_INVALID_NAME"
DUPLICATE = "APPLICATION_COMMANDS_DUPLICATE_NAME"

LIMITS: dict[str, tuple[Json, Json, tuple[str, str]]] = {
    "name of 32": (command("a" * 32), command("a" * 33), ("0.name", LENGTH)),
    "name with a letter of any language": (command("größe"), command("gro/sse"), ("0.name", BAD_NAME)),
    "name in lower case": (command("stats"), command("Stats"), ("0.name", BAD_NAME)),
    "name without spaces": (command("my-stats"), command("my stats"), ("0.name", BAD_NAME)),
    "name there": (command("a"), command(""), ("0.name", "BASE_TYPE_REQUIRED")),
    "menu name with spaces and capitals": (MENU, {**MENU, "name": "S" * 33}, ("0.name", LENGTH)),
    "menu without description": (
        {**MENU, "description": ""},
        {**MENU, "description": "Shows."},
        ("0.description", "APPLICATION_COMMAND_DESCRIPTION_FORBIDDEN"),
    ),
    "menu without options": (
        {**MENU, "options": []},
        {**MENU, "options": [option()]},
        ("0.options", "APPLICATION_COMMAND_OPTIONS_FORBIDDEN"),
    ),
    "description of 100": (command(description="d" * 100), command(description="d" * 101), ("0.description", LENGTH)),
    "description there": (command(description="d"), command(description=""), ("0.description", "BASE_TYPE_REQUIRED")),
    "localized description": (
        command(description_localizations={"de": "d" * 100}),
        command(description_localizations={"de": "d" * 101}),
        ("0.description_localizations.de", LENGTH),
    ),
    "localized name": (
        command(name_localizations={"de": "werte"}),
        command(name_localizations={"de": "Werte"}),
        ("0.name_localizations.de", BAD_NAME),
    ),
    "locale": (
        command(name_localizations={"sv-SE": "siffror"}),
        command(name_localizations={"sl": "podatki"}),
        ("0.name_localizations.sl", "BASE_TYPE_CHOICES"),
    ),
    "type": (command(type=3, description=""), command(type=9), ("0.type", "BASE_TYPE_CHOICES")),
    "options": (
        with_options(*(option(f"o{n}") for n in range(25))),
        with_options(*(option(f"o{n}") for n in range(26))),
        ("0.options", TOO_LONG),
    ),
    "option name": (with_options(option("o" * 32)), with_options(option("o" * 33)), ("0.options.0.name", LENGTH)),
    "option description": (
        with_options(option(description="d" * 100)),
        with_options(option(description="d" * 101)),
        ("0.options.0.description", LENGTH),
    ),
    "option names": (
        with_options(option("a"), option("b")),
        with_options(option("a"), option("a")),
        ("0.options.1.name", DUPLICATE),
    ),
    "required first": (
        with_options(option("a", required=True), option("b")),
        with_options(option("a"), option("b", required=True)),
        ("0.options.1", "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID"),
    ),
    "option type": (
        with_options(option(type_=11)),
        with_options(option(type_=12)),
        ("0.options.0.type", "BASE_TYPE_CHOICES"),
    ),
    "subcommand in a group": (
        with_options(option("g", 2, options=[option("s", 1)])),
        with_options(option("g", 2, options=[option("s", 2)])),
        ("0.options.0.options.0.type", "BASE_TYPE_CHOICES"),
    ),
    "options in a subcommand": (
        with_options(option("s", 1, options=[option("a")])),
        with_options(option("s", 1, options=[option("t", 1)])),
        ("0.options.0.options.0.type", "BASE_TYPE_CHOICES"),
    ),
    "subcommands or options": (
        with_options(option("s", 1), option("t", 1)),
        with_options(option("s", 1), option("a")),
        ("0.options", "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID"),
    ),
    "choices": (
        with_options(option(choices=[choice(f"c{n}", f"{n}") for n in range(25)])),
        with_options(option(choices=[choice(f"c{n}", f"{n}") for n in range(26)])),
        ("0.options.0.choices", TOO_LONG),
    ),
    "choice name": (
        with_options(option(choices=[choice("c" * 100)])),
        with_options(option(choices=[choice("c" * 101)])),
        ("0.options.0.choices.0.name", LENGTH),
    ),
    "choice names": (
        with_options(option(choices=[choice("a", "1"), choice("b", "2")])),
        with_options(option(choices=[choice("a", "1"), choice("a", "2")])),
        ("0.options.0.choices.1", "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_ALREADY_EXISTS"),
    ),
    "choice value": (
        with_options(option(choices=[choice(value="v" * 100)])),
        with_options(option(choices=[choice(value="v" * 101)])),
        ("0.options.0.choices.0.value", LENGTH),
    ),
    "choice number": (
        with_options(option(type_=4, choices=[choice(value=2**53 - 1)])),
        with_options(option(type_=4, choices=[choice(value=2**53)])),
        ("0.options.0.choices.0.value", "NUMBER_TYPE_MAX"),
    ),
    "choice of the option's type": (
        with_options(option(type_=4, choices=[choice(value=7)])),
        with_options(option(type_=4, choices=[choice(value="7")])),
        ("0.options.0.choices.0.value", "NUMBER_TYPE_COERCE"),
    ),
    "choices or autocomplete": (
        with_options(option(autocomplete=True)),
        with_options(option(autocomplete=True, choices=[choice()])),
        ("0.options.0", "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID"),
    ),
    "autocomplete of text and numbers": (
        with_options(option(type_=10, autocomplete=True)),
        with_options(option(type_=6, autocomplete=True)),
        ("0.options.0", "APPLICATION_COMMAND_OPTIONS_CHOICES_INVALID"),
    ),
    "min_length": (
        with_options(option(min_length=6000)),
        with_options(option(min_length=6001)),
        ("0.options.0.min_length", "NUMBER_TYPE_MAX"),
    ),
    "least min_length": (
        with_options(option(min_length=0)),
        with_options(option(min_length=-1)),
        ("0.options.0.min_length", "NUMBER_TYPE_MIN"),
    ),
    "max_length": (
        with_options(option(max_length=6000)),
        with_options(option(max_length=6001)),
        ("0.options.0.max_length", "NUMBER_TYPE_MAX"),
    ),
    "least max_length": (
        with_options(option(max_length=1)),
        with_options(option(max_length=0)),
        ("0.options.0.max_length", "NUMBER_TYPE_MIN"),
    ),
    "contexts": (command(contexts=[0]), command(contexts=[]), ("0.contexts", LENGTH)),
    "no contexts": (command(contexts=None), command(contexts=[3]), ("0.contexts.0", "BASE_TYPE_CHOICES")),
    "integration types": (
        command(integration_types=[0, 1]),
        command(integration_types=[]),
        ("0.integration_types", LENGTH),
    ),
    "permissions": (
        command(default_member_permissions=32),
        command(default_member_permissions="admin"),
        ("0.default_member_permissions", "NUMBER_TYPE_COERCE"),
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_command_is_accepted_at_the_limit_and_refused_beyond_it(raw: Raw, limit: str) -> None:
    accepted, refused, error = LIMITS[limit]
    answer = await raw.register(accepted)
    assert answer.status == 200, answer
    assert [stored["name"] for stored in answer.body] == [accepted["name"]]
    await raw.refused(raw.register(refused), error)


def sized(size: int) -> Json:
    """Return a command of exactly `size` characters: 3 + 10 of its own, the rest in options."""
    left = size - 13
    options = []
    for number in range(25):
        fits = min(left, 25 * 100)
        if fits <= 0:
            break
        one = option(f"o{number:02}", description="d", choices=[])
        fits -= 4
        choices: list[Json] = []
        while fits >= 3:
            text = min(fits, 200)
            name = f"{number:02}{len(choices):02}".ljust(max(4, text - 100), "n")[: text - 1]
            choices.append(choice(name, "v" * (text - len(name))))
            fits -= text
        one["choices"] = choices[:25]
        options.append(one)
        left -= 4 + sum(len(c["name"]) + len(c["value"]) for c in one["choices"])
    made = command("big", description="d" * (10 + left), options=options)
    assert 1 <= len(made["description"]) <= 100
    return made


async def test_a_whole_command_has_8000_characters(raw: Raw) -> None:
    assert (await raw.register(sized(8000))).status == 200
    await raw.refused(raw.register(sized(8001)), ("0", "APPLICATION_COMMAND_TOO_LARGE"))


async def test_each_field_counts_in_its_longest_language(raw: Raw) -> None:
    whole = sized(8000)
    longest = len(whole["description"])
    shorter = {**whole, "description_localizations": {"de": "k" * longest, "fr": "k" * (longest - 1)}}
    assert (await raw.register(shorter)).status == 200
    longer = {**whole, "description_localizations": {"de": "k" * (longest + 1)}}
    await raw.refused(raw.register(longer), ("0", "APPLICATION_COMMAND_TOO_LARGE"))


@pytest.mark.parametrize(("type_", "most"), [(1, 100), (2, 15), (3, 15)])
async def test_a_scope_has_so_many_commands_of_a_kind(raw: Raw, type_: int, most: int) -> None:
    def many(count: int) -> list[Json]:
        described = {"description": "d"} if type_ == 1 else {}
        return [{"name": f"c{n}", "type": type_, **described} for n in range(count)]

    assert (await raw.register(*many(most))).status == 200
    await raw.refused(raw.register(*many(most + 1)), code=30032)
    path = f"/applications/{raw.world.application_id}/commands"
    await raw.refused(raw("POST", path, many(most + 1)[-1]), code=30032)
    guild_path = f"/applications/{raw.world.application_id}/guilds/{raw.world.guild.id}/commands"
    assert (await raw("PUT", guild_path, many(most))).status == 200


async def test_names_are_unique_in_type_and_scope(raw: Raw) -> None:
    both = [command("show"), {"name": "show", "type": 2}]
    assert (await raw.register(*both)).status == 200
    await raw.refused(raw.register(command("show"), command("show")), ("1", DUPLICATE))


async def test_200_commands_are_made_in_a_day(raw: Raw, world: World) -> None:
    batches = [[command(f"b{batch}-{n}") for n in range(100)] for batch in range(3)]
    assert (await raw.register(*batches[0])).status == 200
    assert (await raw.register(*batches[1])).status == 200
    assert (await raw.register(*batches[1])).status == 200, "what is there already is not made"
    await raw.refused(raw.register(command("one-more")), code=30034)
    world.clock.advance(86_401)
    assert (await raw.register(*batches[2])).status == 200


async def test_a_bulk_overwrite_is_all_or_nothing(raw: Raw, world: World) -> None:
    before = (await raw.register(command("one"), command("two"))).body
    await raw.refused(raw.register(command("one", description="New."), command("Bad")), ("1.name", BAD_NAME))
    after = (await raw("GET", f"/applications/{world.application_id}/commands?with_localizations=true")).body
    assert after == before


async def test_a_bulk_overwrite_keeps_ids_and_changes_versions_of_what_changed(raw: Raw) -> None:
    first, second = (await raw.register(command("one"), command("two"))).body
    same, changed, new = (await raw.register(command("one"), command("two", description="New."), command("three"))).body
    assert same == first
    assert changed["id"] == second["id"]
    assert changed["version"] != second["version"]
    assert new["id"] not in {first["id"], second["id"]}


async def test_single_commands_are_made_replaced_changed_and_removed(raw: Raw, world: World) -> None:
    path = f"/applications/{world.application_id}/commands"
    made = await raw("POST", path, command())
    assert made.status == 201
    replaced = await raw("POST", path, command(description="Newer."))
    assert replaced.status == 200
    assert replaced.body["id"] == made.body["id"]
    changed = await raw("PATCH", f"{path}/{made.body['id']}", {"name": "values"})
    assert (changed.body["name"], changed.body["description"]) == ("values", "Newer.")
    assert (await raw("GET", f"{path}/{made.body['id']}")).body == changed.body
    await raw.refused(raw("PATCH", f"{path}/{made.body['id']}", {"name": "Values"}), ("name", BAD_NAME))
    assert (await raw("DELETE", f"{path}/{made.body['id']}")).status == 204
    await raw.refused(raw("GET", f"{path}/{made.body['id']}"), code=10063, status=404)


async def test_commands_of_others_and_of_strange_guilds_are_refused(raw: Raw, world: World) -> None:
    strange = world.add_guild("Strange", with_bot=False)
    await raw.refused(raw("GET", f"/applications/{world.owner.id}/commands"), code=20012, status=403)
    path = f"/applications/{world.application_id}/guilds/{strange.id}/commands"
    await raw.refused(raw("PUT", path, [command()]), code=50001, status=403)
    path = f"/applications/{world.application_id}/guilds/{world.guild.id}/commands"
    made = (await raw("POST", path, command())).body
    await raw.refused(raw("PUT", f"{path}/{made['id']}/permissions", {"permissions": []}), code=20001, status=403)


async def test_what_a_guild_decided_can_be_read(raw: Raw, world: World) -> None:
    path = f"/applications/{world.application_id}/guilds/{world.guild.id}/commands"
    made = (await raw("POST", path, command())).body
    await raw.refused(raw("GET", f"{path}/{made['id']}/permissions"), code=10066, status=404)
    trusted = world.add_role("trusted")
    world.override_command("stats", {trusted: True, world.owner: False})
    decided = (await raw("GET", f"{path}/{made['id']}/permissions")).body
    assert decided["permissions"] == [
        {"id": str(trusted.id), "type": 1, "permission": True},
        {"id": str(world.owner.id), "type": 2, "permission": False},
    ]
    assert (await raw("GET", f"{path}/permissions")).body == [decided]
