"""Messages to a real HTTP server that takes them, refuses them, hangs, and sends elsewhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.config import ConfigError
from bot.health.incidents import Incident, MessageKind
from bot.health.notifiers import (
    Heartbeat,
    Link,
    Notice,
    NotifyError,
    discord_payload,
    harmless,
    title_of,
    webhook,
)
from tests.health.receiver import SECRET_PATH, Receiver, receiver

B2 = Incident(
    id=1,
    key="destination:b2:auth",
    state="open",
    colour="red",
    title="destination b2: not reached",
    text="not reached: b2: the store does not take our credentials",
    command="python -m bot mirror sync b2",
    began_at=1_700_000_000,
    first_seen_at=1_700_000_060,
    last_seen_at=1_700_000_060,
    sightings=1,
    opened_at=1_700_000_060,
    reminded_at=None,
    clear_since=None,
    closed_at=None,
)
OVER = replace(B2, state="closed", clear_since=B2.began_at + 7260, closed_at=B2.began_at + 7600)
OPENED = Notice(MessageKind.OPENED, (B2,), "webhook-opened-1")


@pytest.fixture
async def post_office() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


async def test_discord_gets_an_embed_that_calls_nobody_and_edits_it(post_office: Receiver) -> None:
    hook = webhook(post_office.url, "discord")
    reference = await hook.send(OPENED)
    assert reference == "1001"
    (taken,) = post_office.taken
    assert (taken.method, taken.path, taken.query) == ("POST", SECRET_PATH, "wait=true")
    assert taken.json["allowed_mentions"] == {"parse": []}
    (embed,) = taken.json["embeds"]
    assert embed["title"] == "■ destination b2: not reached"
    assert "`python -m bot mirror sync b2`" in embed["description"]
    assert "2023\\-11\\-14 22:13 UTC" in embed["description"]
    await hook.edit(reference, [OVER])
    edited = post_office.taken[1]
    assert (edited.method, edited.path) == ("PATCH", f"{SECRET_PATH}/messages/1001")
    assert "it lasted 2 h 1 min" in edited.json["embeds"][0]["description"]
    assert edited.json["embeds"][0]["title"].startswith("● Over: ")


async def test_others_get_json_with_a_key(post_office: Receiver) -> None:
    assert await webhook(post_office.url).send(OPENED) is None
    (taken,) = post_office.taken
    assert taken.key == taken.json["key"] == "webhook-opened-1"
    assert taken.json["incidents"][0]["do"] == "python -m bot mirror sync b2"
    assert taken.json["kind"] == "opened"


async def test_no_content_is_fine_too(post_office: Receiver) -> None:
    post_office.always = (204, {})
    assert await webhook(post_office.url, "discord").send(OPENED) is None


async def test_a_short_pause_is_sat_out_and_a_long_one_handed_on(post_office: Receiver) -> None:
    hook = webhook(post_office.url, "discord")
    post_office.answers = [(429, {"Retry-After": "0.05"})]
    assert await hook.send(OPENED) is not None
    assert len(post_office.taken) == 2
    post_office.answers = [(429, {"Retry-After": "120"})]
    with pytest.raises(NotifyError, match="429") as caught:
        await hook.send(OPENED)
    assert (caught.value.transient, caught.value.retry_after) == (True, 120)
    assert len(post_office.taken) == 3


async def test_a_failing_receiver_is_tried_again_and_then_left(post_office: Receiver) -> None:
    post_office.always = (500, {})
    with pytest.raises(NotifyError, match="500") as caught:
        await webhook(post_office.url, attempts=2).send(OPENED)
    assert caught.value.transient
    assert len(post_office.taken) == 2


async def test_a_redirect_is_not_followed(post_office: Receiver) -> None:
    post_office.always = (302, {"Location": post_office.url})
    with pytest.raises(NotifyError, match="redirect") as caught:
        await webhook(post_office.url).send(OPENED)
    assert not caught.value.transient
    assert len(post_office.taken) == 1


async def test_a_hanging_receiver_is_given_up(post_office: Receiver) -> None:
    post_office.hang = True
    with pytest.raises(NotifyError, match=r"no answer within 0\.2 s"):
        await webhook(post_office.url, timeout=0.2, attempts=1).send(OPENED)


async def test_nobody_there(post_office: Receiver) -> None:
    with capture_logs() as logs, pytest.raises(NotifyError) as caught:
        await webhook("http://127.0.0.1:1/canary-webhook-secret", attempts=2).send(OPENED)
    assert caught.value.transient
    assert "canary" not in str(caught.value) + str(logs)


async def test_a_message_that_somebody_deleted_is_no_error(post_office: Receiver) -> None:
    post_office.always = (404, {})
    hook = webhook(post_office.url, "discord")
    await hook.edit("1001", [B2])
    with pytest.raises(NotifyError, match="404"):
        await hook.send(OPENED)


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"id": "../../x"}', b"\xff", b"[" * 100_000])
def test_an_answer_without_an_id_is_not_believed(answer: bytes) -> None:
    from bot.health.notifiers import _message_id

    assert _message_id(answer) is None


@pytest.mark.parametrize(
    "address",
    ["http://example.org/canary", "ftp://localhost/canary", "canary", "https://", "http://[::1/canary", "//x/canary"],
)
def test_addresses_that_no_secret_goes_to(address: str) -> None:
    with pytest.raises(ConfigError, match="https") as caught:
        webhook(address)
    assert "canary" not in str(caught.value)


def test_discord_is_known_by_its_address_alone() -> None:
    kinds = {
        address: type(webhook(address)).__name__
        for address in (
            "https://discord.com/api/webhooks/1/x",
            "https://ptb.discord.com/api/webhooks/1/x",
            "https://notdiscord.com/x",
        )
    }
    assert list(kinds.values()) == ["DiscordWebhook", "DiscordWebhook", "JsonWebhook"]
    assert all("1/x" not in repr(webhook(address).__dict__) for address in kinds)


async def test_heartbeat_calls_the_three_addresses(post_office: Receiver) -> None:
    heartbeat = Heartbeat(Link(post_office.url))
    assert await heartbeat.start()
    assert await heartbeat.success("ok")
    assert await heartbeat.fail("attention (1 of 2 needs you)")
    assert [taken.path for taken in post_office.taken] == [
        f"{SECRET_PATH}/start",
        SECRET_PATH,
        f"{SECRET_PATH}/fail",
    ]
    assert post_office.taken[1].body == b"ok"


async def test_a_heartbeat_that_fails_says_so_once_and_stops_nothing(post_office: Receiver) -> None:
    heartbeat = Heartbeat(Link(post_office.url, attempts=1))
    post_office.always = (500, {})
    with capture_logs() as logs:
        assert not await heartbeat.success("ok")
        assert not await heartbeat.success("ok")
    assert len([entry for entry in logs if "heartbeat" in entry["event"]]) == 1
    assert "canary" not in str(logs)


def test_several_are_one_message_that_names_the_first_ten() -> None:
    many = tuple(replace(B2, id=n, title=f"destination d{n}: not reached") for n in range(25))
    title = title_of(Notice(MessageKind.OPENED, many, "k"))
    assert title == "25 things need you"
    text = discord_payload(title, many)["embeds"][0]["description"]
    assert "destination d9" in text
    assert "destination d10" not in text
    assert "and 15 more" in text


@given(st.text(max_size=700))
def test_nothing_from_outside_calls_formats_or_links(text: str) -> None:
    made = harmless(f"@everyone <@123> **b** https://x.example `c` {text}", 600)
    assert len(made) <= 600
    bare = re.sub(r"\\.", "", made)
    assert not set("@<>*_~`|[]()#") & set(bare)
    assert not bare.endswith("\\")
    assert "://" not in made
    assert all(c.isprintable() or c == "\u200b" for c in made)
    payload = discord_payload(text, [replace(B2, text=text, title=text, command=text)] * 12)
    embed = payload["embeds"][0]
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
