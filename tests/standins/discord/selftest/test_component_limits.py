"""Components of messages: accepted at each limit, refused beyond it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.standins.discord import World
from tests.standins.discord.model import Json, MessageFlag
from tests.standins.discord.selftest.raw import Raw

TOO_LONG, LENGTH, MISSING = "BASE_TYPE_MAX_LENGTH", "BASE_TYPE_BAD_LENGTH", "BASE_TYPE_REQUIRED"
WIDE, DUPLICATE, UNION = "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "COMPONENT_CUSTOM_ID_DUPLICATED", "UNION_TYPE_CHOICES"
IN_ROW = "components.0.components.0"
LINK = "https://example.invalid/"

_ids = itertools.count()


def button(**more: Any) -> Json:
    return {"type": 2, "style": 1, "label": "b", "custom_id": f"b{next(_ids)}", **more}


def link(**more: Any) -> Json:
    return {"type": 2, "style": 5, "label": "b", "url": LINK, **more}


def option(value: str = "v", **more: Any) -> Json:
    return {"label": "l", "value": value, **more}


def options(count: int) -> list[Json]:
    return [option(f"v{number}") for number in range(count)]


def select(**more: Any) -> Json:
    return {"type": 3, "custom_id": f"s{next(_ids)}", "options": [option()], **more}


def row(*parts: Json) -> Json:
    return {"type": 1, "components": list(parts)}


def classic(*parts: Json) -> Json:
    return {"components": [row(*parts)]}


def text(content: str = "t") -> Json:
    return {"type": 10, "content": content}


def section(*texts: Json, accessory: Json | None = None) -> Json:
    return {"type": 9, "components": list(texts), "accessory": accessory or button()}


def container(*parts: Json, **more: Any) -> Json:
    return {"type": 17, "components": list(parts), **more}


def gallery(count: int) -> Json:
    return {"type": 12, "items": [{"media": {"url": LINK}}] * count}


def v2(*parts: Json, **more: Any) -> Json:
    return {"flags": int(MessageFlag.IS_COMPONENTS_V2), "components": list(parts), **more}


CLASSIC: dict[str, tuple[Json, Json, tuple[str, str]]] = {
    "rows": (
        {"components": [row(button()) for _ in range(5)]},
        {"components": [row(button()) for _ in range(6)]},
        ("components", TOO_LONG),
    ),
    "buttons of a row": (
        classic(*(button() for _ in range(5))),
        classic(*(button() for _ in range(6))),
        ("components.0.components", WIDE),
    ),
    "a select alone in its row": (
        {"components": [row(select()), row(select())]},
        classic(select(), select()),
        ("components.0.components", WIDE),
    ),
    "a select without buttons": (classic(select()), classic(select(), button()), ("components.0.components", WIDE)),
    "a row with something in it": (classic(button()), classic(), ("components.0.components", LENGTH)),
    "custom_id": (
        classic(button(custom_id="i" * 100)),
        classic(button(custom_id="i" * 101)),
        (f"{IN_ROW}.custom_id", LENGTH),
    ),
    "custom_id there": (
        classic(button(custom_id="i")),
        classic(button(custom_id="")),
        (f"{IN_ROW}.custom_id", MISSING),
    ),
    "button label": (classic(button(label="l" * 80)), classic(button(label="l" * 81)), (f"{IN_ROW}.label", TOO_LONG)),
    "button with label or emoji": (
        classic(button(label=None, emoji={"name": "🎯"})),
        classic(button(label=None)),
        (f"{IN_ROW}.label", MISSING),
    ),
    "link": (classic(link()), classic(link(url=None)), (f"{IN_ROW}.url", MISSING)),
    "length of a link": (
        classic(link(url=LINK.ljust(512, "x"))),
        classic(link(url=LINK.ljust(513, "x"))),
        (f"{IN_ROW}.url", TOO_LONG),
    ),
    "link or custom_id": (
        classic(link()),
        classic(link(custom_id="i")),
        (f"{IN_ROW}.custom_id", "BUTTON_COMPONENT_FIELDS_EXCLUSIVE"),
    ),
    "sku or custom_id": (
        classic({"type": 2, "style": 6, "sku_id": "1"}),
        classic({"type": 2, "style": 6, "sku_id": "1", "custom_id": "i"}),
        (f"{IN_ROW}.custom_id", "BUTTON_COMPONENT_FIELDS_EXCLUSIVE"),
    ),
    "style": (classic(button(style=4)), classic(button(style=7)), (f"{IN_ROW}.style", "BASE_TYPE_CHOICES")),
    "options": (
        classic(select(options=options(25))),
        classic(select(options=options(26))),
        (f"{IN_ROW}.options", LENGTH),
    ),
    "an option at least": (
        classic(select(options=options(1))),
        classic(select(options=[])),
        (f"{IN_ROW}.options", LENGTH),
    ),
    "option values": (
        classic(select(options=[option("a"), option("b")])),
        classic(select(options=[option("a"), option("a")])),
        (f"{IN_ROW}.options.1.value", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED"),
    ),
    "option label": (
        classic(select(options=[option(label="l" * 100)])),
        classic(select(options=[option(label="l" * 101)])),
        (f"{IN_ROW}.options.0.label", LENGTH),
    ),
    "option value": (
        classic(select(options=[option("v" * 100)])),
        classic(select(options=[option("v" * 101)])),
        (f"{IN_ROW}.options.0.value", LENGTH),
    ),
    "option description": (
        classic(select(options=[option(description="d" * 100)])),
        classic(select(options=[option(description="d" * 101)])),
        (f"{IN_ROW}.options.0.description", TOO_LONG),
    ),
    "placeholder": (
        classic(select(placeholder="p" * 150)),
        classic(select(placeholder="p" * 151)),
        (f"{IN_ROW}.placeholder", TOO_LONG),
    ),
    "min_values": (
        classic(select(min_values=25, max_values=25, options=options(25))),
        classic({"type": 5, "custom_id": "u", "min_values": 26, "max_values": 25}),
        (f"{IN_ROW}.min_values", "NUMBER_TYPE_MAX"),
    ),
    "max_values": (
        classic({"type": 5, "custom_id": "u", "max_values": 25}),
        classic({"type": 5, "custom_id": "u", "max_values": 26}),
        (f"{IN_ROW}.max_values", "NUMBER_TYPE_MAX"),
    ),
    "max_values within the options": (
        classic(select(max_values=2, options=options(2))),
        classic(select(max_values=3, options=options(2))),
        (f"{IN_ROW}.max_values", "NUMBER_TYPE_MAX"),
    ),
    "min within max": (
        classic(select(min_values=1, max_values=1)),
        classic(select(min_values=2, max_values=1)),
        (f"{IN_ROW}.min_values", "NUMBER_TYPE_MAX"),
    ),
    "defaults within max": (
        classic(select(options=[option("a", default=True), option("b")])),
        classic(select(options=[option("a", default=True), option("b", default=True)])),
        (f"{IN_ROW}.options", "SELECT_COMPONENT_TOO_MANY_DEFAULTS"),
    ),
    "V2 with its flag": (
        v2(text()),
        {"components": [text()]},
        ("components.0.type", UNION),
    ),
}

MODERN: dict[str, tuple[Json, Json, tuple[str, str]]] = {
    "components, those inside of others too": (
        v2(container(*(text() for _ in range(39)))),
        v2(container(*(text() for _ in range(40)))),
        ("components", "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED"),
    ),
    "text": (
        v2(text("t" * 2000), container(text("t" * 2000))),
        v2(text("t" * 2000), container(text("t" * 2001))),
        ("components", "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"),
    ),
    "text there": (v2(text("t")), v2(text("")), ("components.0.content", MISSING)),
    "texts of a section": (
        v2(section(text(), text(), text())),
        v2(section(text(), text(), text(), text())),
        ("components.0.components", LENGTH),
    ),
    "a text in a section": (v2(section(text())), v2(section()), ("components.0.components", LENGTH)),
    "accessory": (
        v2(section(text(), accessory={"type": 11, "media": {"url": LINK}})),
        v2({"type": 9, "components": [text()]}),
        ("components.0.accessory", MISSING),
    ),
    "accessory of the right type": (
        v2(section(text(), accessory=link())),
        v2(section(text(), accessory=text())),
        ("components.0.accessory.type", UNION),
    ),
    "gallery": (v2(gallery(10)), v2(gallery(11)), ("components.0.items", LENGTH)),
    "gallery with pictures": (v2(gallery(1)), v2(gallery(0)), ("components.0.items", LENGTH)),
    "accent colour": (
        v2(container(text(), accent_color=0xFFFFFF)),
        v2(container(text(), accent_color=0x1000000)),
        ("components.0.accent_color", "NUMBER_TYPE_MAX"),
    ),
    "no container in a container": (
        v2(container(text()), container(text())),
        v2(container(container(text()))),
        ("components.0.components.0.type", UNION),
    ),
    "no button outside of a row": (v2(row(button())), v2(button()), ("components.0.type", UNION)),
    "separator": (
        v2({"type": 14, "spacing": 2}),
        v2({"type": 14, "spacing": 3}),
        ("components.0.spacing", "NUMBER_TYPE_MAX"),
    ),
    "no content": (
        v2(text()),
        v2(text(), content="c"),
        ("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"),
    ),
    "no embeds": (
        v2(text()),
        v2(text(), embeds=[{"title": "t"}]),
        ("embeds", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"),
    ),
}


@pytest.mark.parametrize("limit", [*CLASSIC, *MODERN])
async def test_components_are_accepted_at_the_limit_and_refused_beyond_it(raw: Raw, world: World, limit: str) -> None:
    accepted, refused, error = {**CLASSIC, **MODERN}[limit]
    answer = await raw.say(**accepted)
    assert answer.status == 200, answer
    await raw.refused(raw.say(**refused), error)
    assert [message.id for message in world.messages()] == [int(answer.body["id"])]


@pytest.mark.parametrize("disabled", [False, True])
async def test_a_custom_id_is_there_once_even_where_switched_off(raw: Raw, disabled: bool) -> None:
    first = button(custom_id="page-1", disabled=disabled)
    assert (await raw.say(**classic(first, button(custom_id="page-2")))).status == 200
    refused = raw.say(**classic(first, button(custom_id="page-1")))
    await raw.refused(refused, (f"{IN_ROW}.custom_id", DUPLICATE), ("components.0.components.1.custom_id", DUPLICATE))
    both = v2(section(text(), accessory=first), row(button(custom_id="page-1")))
    await raw.refused(
        raw.say(**both),
        ("components.0.accessory.custom_id", DUPLICATE),
        ("components.1.components.0.custom_id", DUPLICATE),
    )


@pytest.mark.parametrize("part", [{"type": 13, "file": {"url": "attachment://a.png"}}, "media"])
async def test_a_file_that_is_pointed_to_is_uploaded_in_the_same_request(
    raw: Raw, world: World, part: Json | str
) -> None:
    if isinstance(part, str):
        part, where = (
            {"type": 12, "items": [{"media": {"url": "attachment://a.png"}}]},
            "components.0.items.0.media.url",
        )
    else:
        where = "components.0.file.url"
    path = f"/channels/{world.channel.id}/messages"
    answer = await raw("POST", path, v2(part), files={"a.png": b"x"})
    assert answer.status == 200, answer
    assert "https://cdn.discordapp.com/attachments/" in str(answer.body["components"])
    code = "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND"
    await raw.refused(raw("POST", path, v2(part), files={"b.png": b"x"}), (where, code))


async def test_a_message_of_components_v2_stays_one(raw: Raw, world: World) -> None:
    sent = (await raw.say(**v2(text("one")))).body
    path = f"/channels/{world.channel.id}/messages/{sent['id']}"
    assert (await raw("PATCH", path, v2(text("two")))).status == 200
    assert (await raw("PATCH", path, {"components": [text("three")]})).status == 200
    plain = {"flags": 0, "components": [text("four")]}
    await raw.refused(raw("PATCH", path, plain), ("flags", "MESSAGE_CANNOT_REMOVE_COMPONENTS_V2_FLAG"))
    legacy = ("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2")
    await raw.refused(raw("PATCH", path, {"content": "five"}), legacy)
    (message,) = world.messages()
    assert message.text == "three"


async def test_a_message_becomes_one_of_components_v2_when_its_content_goes(raw: Raw, world: World) -> None:
    sent = (await raw.say(content="one")).body
    path = f"/channels/{world.channel.id}/messages/{sent['id']}"
    legacy = ("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2")
    await raw.refused(raw("PATCH", path, v2(text("two"))), legacy)
    assert (await raw("PATCH", path, v2(text("two"), content=None))).status == 200
    (message,) = world.messages()
    assert message.text == "two"
