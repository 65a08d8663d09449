"""The limits typed by hand against Discord's own file, where both speak of the same one."""

from __future__ import annotations

from typing import Any

from tests.standins.discord import limits
from tests.standins.discord.schema import Schema


def said(schema: Schema, place: str) -> Any:
    """Return what the file has at `Schema.property.keyword` or `Schema.keyword`."""
    name, *properties, keyword = place.split(".")
    at = schema.document["components"]["schemas"][name]
    for part in properties:
        at = at["properties"][part]
    return at[keyword]


def test_the_limits_are_those_of_the_file(discord_schema: Schema) -> None:
    differing = {
        place: (said(discord_schema, place), limit)
        for limit in limits.TABLE
        for place in limit.places
        if said(discord_schema, place) != (limit.value if limit.file_says is None else limit.file_says)
    }
    assert not differing
    assert sum(len(limit.places) for limit in limits.TABLE) > 70


def test_where_the_file_differs_it_is_looser() -> None:
    looser = [limit for limit in limits.TABLE if limit.file_says is not None]
    assert looser
    assert all(limit.file_says is not None and limit.file_says > limit.value for limit in looser)


def test_the_locales_are_those_of_the_file(discord_schema: Schema) -> None:
    known = discord_schema.document["components"]["schemas"]["AvailableLocalesEnum"]["oneOf"]
    assert {one["const"] for one in known} == limits.LOCALES
