"""An interaction's life: one answer in three seconds, then edits and follow-ups for a quarter of an hour."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standins.discord import CannotDoThat, DidNotRespond, Upload, Violation, World
from tests.standins.discord.model import Json
from tests.standins.discord.selftest.conftest import Ask
from tests.standins.discord.selftest.raw import Raw
from tests.standins.discord.selftest.test_component_limits import button, classic, option, row, select

MESSAGE, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
EPHEMERAL = 1 << 6

COMMAND = {
    "name": "go",
    "description": "Goes.",
    "options": [
        {"type": 3, "name": "text", "description": "d", "autocomplete": True},
        {"type": 4, "name": "number", "description": "d", "autocomplete": True},
    ],
}


def modal(*components: Json, **more: Any) -> Json:
    return {"title": "Form", "custom_id": "form", "components": list(components) or [label(text_input())], **more}


def label(component: Json, **more: Any) -> Json:
    return {"type": 18, "label": "Name", "component": component, **more}


def text_input(**more: Any) -> Json:
    return {"type": 4, "style": 1, "custom_id": "name", **more}


@pytest.fixture
async def registered(raw: Raw) -> None:
    """A command to start from."""
    assert (await raw.register(COMMAND, {"name": "Look", "type": 2}, {"name": "Quote", "type": 3})).status == 200


pytestmark = pytest.mark.usefixtures("registered")


async def asked(kind: str, world: World, raw: Raw, ask: Ask) -> Json:
    """Return an open interaction of a kind."""
    alice = world.user("alice")
    if kind == "autocomplete":
        return (await ask(alice.autocomplete("go", text="x"))).data
    first = await ask(alice.slash("go"))
    if kind == "command":
        return first.data
    if kind == "modal of a command":
        await raw.call_back(first.data, MODAL, modal())
        return (await ask((await first.reply()).modal.submit(name="Al"))).data
    await raw.call_back(first.data, MESSAGE, classic(button(custom_id="b")))
    second = await ask((await first.reply()).click("b"))
    if kind == "component":
        return second.data
    await raw.call_back(second.data, MODAL, modal())
    return (await ask((await second.reply()).modal.submit(name="Al"))).data


KINDS = ["command", "component", "autocomplete", "modal of a command", "modal of a component"]
DATA: dict[int, Any] = {
    MESSAGE: {"content": "c"},
    DEFER: None,
    DEFER_UPDATE: None,
    UPDATE: {"content": "c"},
    CHOICES: {"choices": []},
    MODAL: modal(),
}
ALLOWED = {
    "command": {MESSAGE, DEFER, MODAL},
    "component": {MESSAGE, DEFER, DEFER_UPDATE, UPDATE, MODAL},
    "autocomplete": {CHOICES},
    "modal of a command": {MESSAGE, DEFER},
    "modal of a component": {MESSAGE, DEFER, DEFER_UPDATE, UPDATE},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", [1, *DATA])
async def test_each_kind_takes_its_own_answers(world: World, raw: Raw, ask: Ask, kind: str, answer: int) -> None:
    interaction = await asked(kind, world, raw, ask)
    if answer in ALLOWED[kind]:
        assert (await raw.call_back(interaction, answer, DATA[answer])).status == 204
        if answer == DEFER:
            world.expects_fault("thinking")
    else:
        call = raw.call_back(interaction, answer, DATA.get(answer))
        await raw.refused(call, ("type", "BASE_TYPE_CHOICES"))
        # It is still open for an answer that fits.
        right = min(ALLOWED[kind])
        assert (await raw.call_back(interaction, right, DATA[right])).status == 204


@pytest.mark.parametrize("kind", KINDS)
async def test_there_is_one_answer_only(world: World, raw: Raw, ask: Ask, kind: str) -> None:
    interaction = await asked(kind, world, raw, ask)
    right = min(ALLOWED[kind])
    assert (await raw.call_back(interaction, right, DATA[right])).status == 204
    await raw.refused(raw.call_back(interaction, right, DATA[right]), code=40060)


@pytest.mark.timeout(20)
async def test_after_three_seconds_it_is_too_late(world: World, raw: Raw, ask: Ask) -> None:
    alice = world.user("alice")
    first = await ask(alice.slash("go"))
    error = await first.given_up()
    assert isinstance(error, DidNotRespond)
    await raw.refused(raw.call_back(first.data, MESSAGE, {"content": "late"}), code=10062, status=404)
    assert world.messages() == []
    with pytest.raises(Violation, match="unanswered: command 'go' of alice was not answered within 3 s"):
        world.verify()
    world.expects_fault("unanswered")


async def test_the_worlds_clock_counts_for_the_three_seconds(world: World, raw: Raw, ask: Ask) -> None:
    in_time = await ask(world.user("alice").slash("go"))
    world.clock.advance(2.5)
    assert (await raw.call_back(in_time.data, MESSAGE, {"content": "in time"})).status == 204
    late = await ask(world.user("bob").slash("go"))
    world.clock.advance(3.1)
    await raw.refused(raw.call_back(late.data, MESSAGE, {"content": "late"}), code=10062, status=404)
    world.expects_fault("unanswered")


async def test_strangers_do_not_answer(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    wrong = {**first.data, "token": "wrong"}
    await raw.refused(raw.call_back(wrong, MESSAGE, {"content": "c"}), code=10062, status=404)
    wrong = {**first.data, "id": "1"}
    await raw.refused(raw.call_back(wrong, MESSAGE, {"content": "c"}), code=10062, status=404)
    assert (await raw.call_back(first.data, MESSAGE, {"content": "c"})).status == 204
    await raw.refused(raw("POST", "/webhooks/1/wrong", {"content": "c"}), code=10015, status=404)


async def test_the_answer_tells_the_message_where_asked_to(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    answer = await raw.call_back(first.data, MESSAGE, {"content": "c", "flags": EPHEMERAL}, query="?with_response=1")
    told = answer.body["interaction"]
    assert answer.status == 200
    assert told["response_message_id"] == answer.body["resource"]["message"]["id"]
    assert (told["response_message_ephemeral"], told["response_message_loading"]) == (True, False)
    second = await ask(world.user("bob").slash("go"))
    answer = await raw.call_back(second.data, DEFER, query="?with_response=true")
    assert answer.body["interaction"]["response_message_loading"] is True
    assert "resource" not in answer.body
    world.expects_fault("thinking")


async def test_follow_ups_come_after_the_answer_and_for_a_quarter_of_an_hour(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    path = raw.webhook(first.data)
    await raw.refused(raw("POST", path, {"content": "early"}), code=10015, status=404)
    await raw.refused(raw("PATCH", f"{path}/messages/@original", {"content": "c"}), code=10015, status=404)
    await raw.call_back(first.data, MESSAGE, {"content": "answer"})
    more = await raw("POST", path, {"content": "more"})
    assert (await raw("PATCH", f"{path}/messages/{more.body['id']}", {"content": "much more"})).status == 200
    assert (await raw("PATCH", f"{path}/messages/@original", {"content": "edited"})).status == 200
    reply = await first.reply()
    assert (reply.text, [one.text for one in reply.followups]) == ("edited", ["much more"])
    world.clock.advance(899)
    assert (await raw("GET", f"{path}/messages/@original")).body["content"] == "edited"
    world.clock.advance(2)
    for method, rest, body in [
        ("GET", "/messages/@original", None),
        ("PATCH", "/messages/@original", {"content": "late"}),
        ("DELETE", "/messages/@original", None),
        ("POST", "", {"content": "late"}),
    ]:
        await raw.refused(raw(method, path + rest, body), code=50027, status=401)
    assert reply.text == "edited"


async def test_thinking_ends_with_an_edit_or_with_a_follow_up(world: World, raw: Raw, ask: Ask) -> None:
    alice = world.user("alice")
    for end in ("edit", "follow-up"):
        first = await ask(alice.slash("go"))
        await raw.call_back(first.data, DEFER, {"flags": EPHEMERAL})
        if end == "edit":
            answer = await raw("PATCH", raw.webhook(first.data, "/messages/@original"), {"content": end})
        else:
            answer = await raw("POST", raw.webhook(first.data), {"content": end})
        reply = await first.reply()
        assert int(answer.body["id"]) == reply.id
        assert (reply.text, reply.ephemeral, reply.thinking, reply.followups) == (end, True, False, [])


async def test_thinking_for_ever_fails_the_test(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go", settle=False))
    await raw.call_back(first.data, DEFER)
    assert (await first.reply()).thinking
    with pytest.raises(Violation, match="thinking: command 'go' of alice"):
        world.verify()
    world.expects_fault("thinking")


async def test_defer_takes_the_ephemeral_flag_only(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    call = raw.call_back(first.data, DEFER, {"flags": 1 << 15})
    await raw.refused(call, ("data.flags", "MESSAGE_FLAGS_INVALID"))
    await raw.call_back(first.data, DEFER, {"flags": EPHEMERAL})
    body = {"flags": 1 << 15, "components": [{"type": 10, "content": "V2 comes with the edit"}]}
    assert (await raw("PATCH", raw.webhook(first.data, "/messages/@original"), body)).status == 200
    reply = await first.reply()
    assert (reply.text, reply.ephemeral) == ("V2 comes with the edit", True)


async def test_how_ephemeral_an_answer_is_stays(world: World, raw: Raw, ask: Ask) -> None:
    alice = world.user("alice")
    first = await ask(alice.slash("go"))
    await raw.call_back(first.data, DEFER)
    await raw("POST", raw.webhook(first.data), {"content": "secret", "flags": EPHEMERAL})
    reply = await first.reply()
    assert not reply.ephemeral
    more = await raw("POST", raw.webhook(first.data), {"content": "really secret", "flags": EPHEMERAL})
    assert more.body["flags"] == EPHEMERAL
    assert (await reply.followup()).ephemeral
    assert [message.text for message in world.messages()] == ["secret"]


async def test_what_is_ephemeral_is_seen_by_one_and_not_through_the_channel(world: World, raw: Raw, ask: Ask) -> None:
    alice, bob = world.user("alice"), world.user("bob")
    first = await ask(alice.slash("go"))
    await raw.call_back(first.data, MESSAGE, {**classic(button(label="Next")), "flags": EPHEMERAL})
    reply = await first.reply()
    assert (reply.visible_to(alice), reply.visible_to(bob)) == (True, False)
    with pytest.raises(CannotDoThat, match="does not see"):
        await reply.click("Next", by=bob)
    path = f"/channels/{world.channel.id}/messages"
    assert (await raw("GET", path)).body == []
    await raw.refused(raw("GET", f"{path}/{reply.id}"), code=10008, status=404)
    await raw.refused(raw("PATCH", f"{path}/{reply.id}", {"content": "c"}), code=10008, status=404)


async def test_an_update_changes_the_message_of_the_component(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    await raw.call_back(first.data, MESSAGE, {"content": "page 1", **classic(button(label="Next"))})
    reply = await first.reply()
    click = await ask(reply.click("Next"))
    assert click.data["message"]["id"] == str(reply.id)
    await raw.call_back(click.data, UPDATE, {"content": "page 2"})
    same = await click.reply()
    assert (same.id, same.text, reply.text, reply.edits) == (reply.id, "page 2", "page 2", 1)
    click = await ask(reply.click("Next"))
    await raw.call_back(click.data, DEFER_UPDATE)
    await raw("PATCH", raw.webhook(click.data, "/messages/@original"), {"content": "page 3", "components": []})
    assert (await (await click.reply()).until(lambda r: r.text == "page 3")).buttons == []
    assert [message.text for message in world.messages()] == ["page 3"]


async def test_what_follows_a_deferred_update_is_the_answer(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    await raw.call_back(first.data, MESSAGE, {"content": "page 1", **classic(button(label="Next"))})
    reply = await first.reply()
    click = await ask(reply.click("Next"))
    await raw.call_back(click.data, DEFER_UPDATE)
    await raw("POST", raw.webhook(click.data), {"content": "not for you", "flags": EPHEMERAL})
    said = await click.reply()
    assert (said.text, said.ephemeral, reply.text) == ("not for you", True, "page 1")
    both = await ask(reply.click("Next"))
    await raw.call_back(both.data, DEFER_UPDATE)
    await raw("PATCH", raw.webhook(both.data, "/messages/@original"), {"content": "page 2"})
    await raw("POST", raw.webhook(both.data), {"content": "and more"})
    assert (await both.reply()).text == "page 2"


async def test_what_stands_in_for_thinking_that_was_taken_away_is_the_answer(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    await raw.call_back(first.data, DEFER)
    await raw("DELETE", raw.webhook(first.data, "/messages/@original"))
    await raw("POST", raw.webhook(first.data), {"content": "secret", "flags": EPHEMERAL})
    said = await first.reply()
    assert (said.text, said.ephemeral, said.deleted) == ("secret", True, False)
    assert world.messages() == []


async def test_an_answer_can_be_deleted(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    await raw.call_back(first.data, MESSAGE, {"content": "c"})
    path = raw.webhook(first.data, "/messages/@original")
    assert (await raw("DELETE", path)).status == 204
    assert (await first.reply()).deleted
    assert world.messages() == []
    await raw.refused(raw("GET", path), code=10008, status=404)


async def test_a_user_installed_app_has_five_follow_ups(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    world.interactions[int(first.data["id"])].installed_by_user = True
    await raw.call_back(first.data, MESSAGE, {"content": "c"})
    for number in range(5):
        assert (await raw("POST", raw.webhook(first.data), {"content": f"{number}"})).status == 200
    await raw.refused(raw("POST", raw.webhook(first.data), {"content": "5"}), code=40094)


async def test_answers_have_the_limits_of_messages(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    too_long = {"content": "c" * 2001}
    await raw.refused(raw.call_back(first.data, MESSAGE, too_long), ("data.content", "BASE_TYPE_MAX_LENGTH"))
    await raw.call_back(first.data, MESSAGE, {"content": "c" * 2000})
    await raw.refused(raw("POST", raw.webhook(first.data), too_long), ("content", "BASE_TYPE_MAX_LENGTH"))
    edit = raw("PATCH", raw.webhook(first.data, "/messages/@original"), too_long)
    await raw.refused(edit, ("content", "BASE_TYPE_MAX_LENGTH"))


async def test_what_an_interaction_tells(world: World, raw: Raw, ask: Ask) -> None:
    alice = world.user("alice", locale="de")
    data = (await ask(alice.slash("go", text="x"))).data
    assert data["data"]["options"] == [{"type": 3, "name": "text", "value": "x"}]
    assert data["member"]["user"]["id"] == str(alice.id)
    assert int(data["member"]["permissions"]) & (1 << 11)
    assert int(data["app_permissions"]) & (1 << 10)
    assert (data["locale"], data["context"], data["attachment_size_limit"]) == ("de", 0, 10 * 1024 * 1024)
    assert data["guild"] == {"id": str(world.guild.id), "locale": "en-US", "features": []}
    await raw.call_back(data, MESSAGE, {"content": "c"})
    data = (await ask(alice.slash("go", channel=alice.dm))).data
    assert (data["user"]["id"], data["context"], "member" in data) == (str(alice.id), 1, False)
    await raw.call_back(data, MESSAGE, {"content": "c"})


async def test_menus_tell_their_target(world: World, raw: Raw, ask: Ask) -> None:
    alice, bob = world.user("alice"), world.user("bob")
    data = (await ask(alice.user_menu("Look", bob))).data
    assert data["data"]["target_id"] == str(bob.id)
    assert data["data"]["resolved"]["users"][str(bob.id)]["username"] == "bob"
    await raw.call_back(data, MESSAGE, {"content": "c"})
    said = await bob.say("hello")
    data = (await ask(alice.message_menu("Quote", said))).data
    assert data["data"]["resolved"]["messages"][str(said.id)]["content"] == "hello"
    await raw.call_back(data, MESSAGE, {"content": "c"})


# -- autocomplete


def choices(count: int, **more: Any) -> Json:
    return {"choices": [{"name": f"n{number}", "value": f"v{number}", **more} for number in range(count)]}


AUTOCOMPLETE: dict[str, tuple[str, Json, Json, tuple[str, str]]] = {
    "choices": ("text", choices(25), choices(26), ("data.choices", "BASE_TYPE_MAX_LENGTH")),
    "name": (
        "text",
        choices(1, name="n" * 100),
        choices(1, name="n" * 101),
        ("data.choices.0.name", "BASE_TYPE_BAD_LENGTH"),
    ),
    "name there": ("text", choices(1, name="n"), choices(1, name=""), ("data.choices.0.name", "BASE_TYPE_REQUIRED")),
    "value": (
        "text",
        choices(1, value="v" * 100),
        choices(1, value="v" * 101),
        ("data.choices.0.value", "BASE_TYPE_BAD_LENGTH"),
    ),
    "type of the value": (
        "number",
        choices(1, value=7),
        choices(1, value="7"),
        ("data.choices.0.value", "NUMBER_TYPE_COERCE"),
    ),
}


@pytest.mark.parametrize("limit", AUTOCOMPLETE)
async def test_choices_are_accepted_at_the_limit_and_refused_beyond_it(
    world: World, raw: Raw, ask: Ask, limit: str
) -> None:
    option_name, accepted, refused, error = AUTOCOMPLETE[limit]
    first = await ask(world.user("alice").autocomplete("go", options={option_name: "x"}))
    assert first.data["data"]["options"][0]["focused"] is True
    await raw.refused(raw.call_back(first.data, CHOICES, refused), error)
    assert (await raw.call_back(first.data, CHOICES, accepted)).status == 204
    found: Any = await first.reply()
    assert [(one.name, one.value) for one in found] == [(c["name"], c["value"]) for c in accepted["choices"]]


# -- modals


def group(type_: int, count: int) -> Json:
    return label({"type": type_, "custom_id": "g", "options": [option(f"v{n}") for n in range(count)]})


INPUT = "data.components.0.component"
TOO_LONG, LENGTH = "BASE_TYPE_MAX_LENGTH", "BASE_TYPE_BAD_LENGTH"
MODALS: dict[str, tuple[Json, Json, tuple[str, str]]] = {
    "title": (modal(title="t" * 45), modal(title="t" * 46), ("data.title", LENGTH)),
    "custom_id": (modal(custom_id="i" * 100), modal(custom_id="i" * 101), ("data.custom_id", LENGTH)),
    "components": (
        modal(*(label(text_input(custom_id=f"{n}")) for n in range(5))),
        modal(*(label(text_input(custom_id=f"{n}")) for n in range(6))),
        ("data.components", LENGTH),
    ),
    "a component": (modal(), {**modal(), "components": []}, ("data.components", LENGTH)),
    "label": (
        modal(label(text_input(), label="l" * 45)),
        modal(label(text_input(), label="l" * 46)),
        ("data.components.0.label", LENGTH),
    ),
    "label description": (
        modal(label(text_input(), description="d" * 100)),
        modal(label(text_input(), description="d" * 101)),
        ("data.components.0.description", LENGTH),
    ),
    "custom_id of an input": (
        modal(label(text_input(custom_id="i" * 100))),
        modal(label(text_input(custom_id="i" * 101))),
        (f"{INPUT}.custom_id", LENGTH),
    ),
    "value": (
        modal(label(text_input(value="v" * 4000))),
        modal(label(text_input(value="v" * 4001))),
        (f"{INPUT}.value", TOO_LONG),
    ),
    "max_length": (
        modal(label(text_input(max_length=4000))),
        modal(label(text_input(max_length=4001))),
        (f"{INPUT}.max_length", "NUMBER_TYPE_MAX"),
    ),
    "placeholder": (
        modal(label(text_input(placeholder="p" * 100))),
        modal(label(text_input(placeholder="p" * 101))),
        (f"{INPUT}.placeholder", TOO_LONG),
    ),
    "radio group": (modal(group(21, 10)), modal(group(21, 11)), (f"{INPUT}.options", LENGTH)),
    "radio group of two": (modal(group(21, 2)), modal(group(21, 1)), (f"{INPUT}.options", LENGTH)),
    "checkbox group": (modal(group(22, 10)), modal(group(22, 11)), (f"{INPUT}.options", LENGTH)),
    "checkbox group of one": (modal(group(22, 1)), modal(group(22, 0)), (f"{INPUT}.options", LENGTH)),
    "select": (
        modal(label(select(options=[option(f"v{n}") for n in range(25)]))),
        modal(label(select(options=[option(f"v{n}") for n in range(26)]))),
        (f"{INPUT}.options", LENGTH),
    ),
    "files": (
        modal(label({"type": 19, "custom_id": "f", "max_values": 10})),
        modal(label({"type": 19, "custom_id": "f", "max_values": 11})),
        (f"{INPUT}.max_values", "NUMBER_TYPE_MAX"),
    ),
    "no buttons": (
        modal(label({"type": 23, "custom_id": "c"})),
        modal(label(button())),
        (f"{INPUT}.type", "UNION_TYPE_CHOICES"),
    ),
    "labels around inputs": (
        modal(row(text_input(label="Name"))),
        modal(text_input()),
        ("data.components.0.type", "UNION_TYPE_CHOICES"),
    ),
}


@pytest.mark.parametrize("limit", MODALS)
async def test_a_modal_is_accepted_at_the_limit_and_refused_beyond_it(
    world: World, raw: Raw, ask: Ask, limit: str
) -> None:
    accepted, refused, error = MODALS[limit]
    first = await ask(world.user("alice").slash("go"))
    await raw.refused(raw.call_back(first.data, MODAL, refused), error)
    answer = await raw.call_back(first.data, MODAL, accepted)
    assert answer.status == 204, answer
    assert (await first.reply()).modal.title == accepted["title"]


async def test_a_modals_custom_ids_are_there_once(world: World, raw: Raw, ask: Ask) -> None:
    first = await ask(world.user("alice").slash("go"))
    call = raw.call_back(first.data, MODAL, modal(label(text_input()), label(text_input())))
    code = "COMPONENT_CUSTOM_ID_DUPLICATED"
    paths = [f"data.components.{number}.component.custom_id" for number in range(2)]
    await raw.refused(call, *((path, code) for path in paths))
    world.expects_fault("unanswered")


async def test_a_modal_is_filled_in_once(world: World, raw: Raw, ask: Ask) -> None:
    alice = world.user("alice")
    first = await ask(alice.slash("go"))
    form = modal(
        {"type": 10, "content": "Please."},
        label(text_input(), label="Name"),
        label(select(custom_id="s", options=[option("de", label="German")]), label="Language"),
        label({"type": 5, "custom_id": "u"}, label="Friend"),
        label({"type": 19, "custom_id": "f", "required": False, "min_values": 0}, label="File"),
    )
    await raw.call_back(first.data, MODAL, form)
    open_modal = (await first.reply()).modal
    assert set(open_modal.fields) == {"Name", "Language", "Friend", "File"}
    upload = Upload("a.txt", b"x", "text/plain")
    values = {"Name": "Al", "Language": ["German"], "u": [alice], "File": [upload]}
    sent = (await ask(open_modal.submit(values))).data
    filled = [part.get("component", {}) for part in sent["data"]["components"]]
    assert [part.get("value", part.get("values")) for part in filled[:4]] == [None, "Al", ["de"], [str(alice.id)]]
    assert sent["data"]["resolved"]["attachments"][filled[4]["values"][0]]["filename"] == "a.txt"
    await raw.call_back(sent, MESSAGE, {"content": "thanks"})
    with pytest.raises(CannotDoThat, match="submitted already"):
        await open_modal.submit(values)
