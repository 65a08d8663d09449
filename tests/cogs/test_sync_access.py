"""Who sees and does what: two communities on one bot, people of each level, buttons of others, names that attack."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from bot.cards.health_commands import command_told, slash_for
from bot.db.schema import incidents, mirror_objects, processed_files
from tests.cogs.copies import FILES, OTHER_FILES, SECRET, House, a_house, answered, told
from tests.standins.discord import Actor, DiscordServer, Guild, Permission, Reply, World

EVIL = "2025-02-01-201500-`@everyone`<@1>[x](http://e)||**_-round-1.txt"


@pytest.fixture
async def house(
    tmp_path: Path, database_url: str, discord_server: DiscordServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """Two game servers, the first of them the world's first Discord server's, the second another's; copies of both."""
    names = ("main", "rivals")
    async with (
        a_house(tmp_path, database_url, discord_server, world, monkeypatch, servers=names) as made,
        made.live(),
    ):
        await made.done("poll")
        await made.done("mirror.backfill")
        await made.move_in()
        yield made


@pytest.fixture
async def rivals(house: House) -> tuple[Guild, Actor]:
    """Another community: its Discord server sees its own game server alone, and this is its admin."""
    guild = house.world.add_guild("Rivals")
    await house.let_see(guild, "rivals")
    return guild, house.world.user("rival", permissions=Permission.ADMINISTRATOR, guilds=[guild])


def all_text(reply: Reply) -> str:
    """Everything that a person reads in a message: texts, buttons, choices and attached files."""
    parts = [reply.text, json.dumps(reply.components)]
    return "\n".join(parts + [file.data.decode() for file in reply.files])


# ---------------------------------------------------------------------- two communities


ASKED: list[tuple[str, dict[str, Any]]] = [
    ("sync status", {}),
    ("sync diagnose", {}),
    ("sync failed", {}),
    ("mirror status", {}),
    ("mirror status", {"destination": "nas"}),
    ("jobs list", {}),
    ("alerts list", {}),
    ("sync diagnose", {"file": sorted(OTHER_FILES)[0]}),
]


async def test_one_community_learns_nothing_of_the_other(house: House, rivals: tuple[Guild, Actor]) -> None:
    guild, rival = rivals
    channel = house.world.add_channel("general", guild=guild)
    async with house.app.database.write() as connection:
        await connection.execute(update(processed_files).values(state="failed", next_try_at=None, reason="torn"))
        await connection.execute(update(mirror_objects).values(state="failed", reason="no room in s3://secretbucket"))
        for key in ("server:main:parked", "server:rivals:parked", "destination:nas:failed"):
            row: dict[str, Any] = {
                "key": key,
                "live_key": key,
                "state": "open",
                "colour": "red",
                "title": key,
                "text": f"text of {key}",
            }
            row |= dict.fromkeys(("began_at", "first_seen_at", "last_seen_at", "opened_at"), 1) | {"sightings": 1}
            await connection.execute(insert(incidents), [row])
    for line, options in ASKED:
        shown = all_text(await told(await rival.slash(line, channel=channel, options=options)))
        assert '"main"' not in shown.replace("main/", '"main"'), line
        assert "**main**" not in shown, line
        assert "server:main" not in shown, line
        assert "secretbucket" not in shown, line
        assert not [name for name in FILES if name in shown and name not in OTHER_FILES], line
    status = await rival.slash("sync status", channel=channel)
    assert "**rivals**" in status.text
    count = len(OTHER_FILES)
    assert f"stored **0/{count}**" in status.text, "of a shared destination, his own files alone"
    assert f"failed {count}" in status.text
    mine = await (await rival.slash("sync failed", channel=channel)).click("▶")
    assert "→ nas" in mine.text
    assert "secretbucket" not in all_text(mine)
    assert "secretbucket" in (await (await house.people["operator"].slash("sync failed")).click("⏭")).text
    whole = await house.people["operator"].slash("sync status")
    assert f"stored **0/{count + len(FILES)}**" in whole.text
    offered = await rival.autocomplete("sync diagnose", channel=channel, file="2025")
    assert {choice.value for choice in offered} <= set(OTHER_FILES)
    assert [choice.name for choice in await rival.autocomplete("sync now", channel=channel, server="")] == ["rivals"]
    assert [c.value for c in await rival.autocomplete("alerts mute", channel=channel, key="")] == [
        "server:rivals:parked"
    ]


WHOLE_HOUSE: list[tuple[str, dict[str, Any]]] = [
    ("mirror backfill", {"destination": "nas"}),
    ("mirror verify", {}),
    ("mirror reconcile", {}),
    ("mirror pause", {"destination": "nas"}),
    ("mirror resume", {"destination": "nas"}),
    ("mirror runs", {}),
    ("mirror runs", {"run": 1}),
    ("mirror force", {"destination": "nas", "file": sorted(OTHER_FILES)[0]}),
    ("sync diagnose", {"destination": "nas"}),
    ("sync diagnose", {"destination": "nas", "compare_with": "usb"}),
    ("alerts test", {}),
    ("alerts mute", {"key": "*"}),
    ("alerts mute", {"key": "server:main:parked"}),
    ("alerts mute", {"key": "server:r*:parked"}),
    ("alerts unmute", {"key": "destination:nas:auth"}),
]


async def test_what_all_share_is_for_the_whole_house(house: House, rivals: tuple[Guild, Actor]) -> None:
    guild, rival = rivals
    channel = house.world.add_channel("general", guild=guild)
    before = len((await house.app.jobs.list()).jobs)
    for line, options in WHOLE_HOUSE:
        refused = await told(await rival.slash(line, channel=channel, options=options))
        assert "This concerns all game servers" in refused.text, (line, options)
    for line, options in (("sync now", {"server": "main"}), ("sync restore", {"server": "main"})):
        refused = await told(await rival.slash(line, channel=channel, options=options))
        assert "There is no such game server here" in refused.text
        assert "main" not in refused.text
    assert len((await house.app.jobs.list()).jobs) == before
    polled = await answered(await rival.slash("sync now", channel=channel), "**rivals**")
    assert "**main**" not in polled.text
    assert await house.audited("job.poll") == [(f"discord:{rival.id}", "rivals")]
    theirs = (await house.app.jobs.list(kind="mirror.backfill")).jobs[0]
    for line in ("jobs show", "jobs cancel"):
        hidden = await told(await rival.slash(line, channel=channel, job=theirs.id))
        assert "There is no such job here" in hidden.text
    polls = (await house.app.jobs.list(kind="poll")).jobs
    own = next(job for job in polls if job.actor == f"discord:{rival.id}")
    assert "**rivals**" in (await told(await rival.slash("jobs show", channel=channel, job=own.id))).text
    muted = await rival.slash("alerts mute", channel=channel, key="server:rivals:parked")
    assert "is muted" in muted.text


async def test_the_operator_works_anywhere_and_nothing_of_it_is_posted_there(
    house: House, rivals: tuple[Guild, Actor]
) -> None:
    guild, _ = rivals
    channel = house.world.add_channel("general", guild=guild)
    operator = house.world.user("boss", guilds=[guild], permissions=Permission.ADMINISTRATOR)
    house.bot.operators = frozenset((operator.id,))
    reply = await operator.slash("mirror backfill", channel=channel, destination="nas")
    shown = await answered(reply, "all in sync")
    assert shown.ephemeral
    assert house.world.messages(channel) == []
    status = await operator.slash("sync status", channel=channel)
    assert "**main**" in status.text
    shared = await answered(await status.click("Show to everybody"), "**rivals**")
    public = shared if not shared.ephemeral else (await status.followup())
    assert "**main**" not in public.text


async def test_buttons_of_a_job_ask_again_what_may_be_seen(house: House) -> None:
    """A message stays where it was posted, also when its Discord server may not see all game servers any more."""
    house.world.clock.advance(1)
    await house.app.jobs.stop()
    await house.admin.slash("mirror backfill", destination="nas")
    (message,) = house.world.messages()
    shown = await told(await message.click("Details", by=house.admin))
    assert "Copy to: nas" in shown.text
    (theirs,) = [row for row in (await house.bot.guild_book.get(house.world.guild.id)).servers if row.name == "rivals"]
    await house.bot.guild_book.revoke(house.world.guild.id, theirs.id, actor="test")
    for button in ("Details", "End it"):
        refused = await answered(await message.click(button, by=house.admin), "This concerns all game servers")
        assert refused.ephemeral
    assert await house.audited("job.cancel") == []


# ---------------------------------------------------------------------- people


LEVELS = {
    "member": ("This is for people with a viewer or admin role", "This is for admins here"),
    "viewer": (None, "This is for admins here"),
    "admin": (None, None),
    "operator": (None, None),
}


@pytest.mark.parametrize("who", list(LEVELS))
async def test_each_level_may_do_what_it_may(house: House, who: str) -> None:
    for name in ("sync", "mirror", "jobs", "alerts"):
        house.world.override_command(name, dict.fromkeys(house.people.values(), True))
    person = house.people[who]
    see, act = LEVELS[who]
    for line, refusal in (("sync status", see), ("mirror status", see), ("sync failed", act), ("jobs list", act)):
        reply = await told(await person.slash(line))
        assert reply.ephemeral
        assert (refusal or "### ") in reply.text, line
        assert refusal is not None or "That did not work" not in reply.text, line
        assert str(house.root) not in all_text(reply).replace("\\", "") or who in ("admin", "operator")


async def test_buttons_belong_to_who_asked_and_roles_are_looked_up_again(house: House) -> None:
    reply = await house.admin.slash("sync status")
    admin_roles = (await house.bot.guild_book.get(house.world.guild.id)).admin_roles
    await house.bot.guild_book.set_roles(house.world.guild.id, "admin", [], actor="test")
    await house.bot.guild_book.set_roles(house.world.guild.id, "viewer", [], actor="test")
    house.bot.operators = frozenset()
    async with house.app.database.write() as connection:
        await connection.execute(update(processed_files).values(state="failed", next_try_at=None, reason="torn"))
    await house.bot.guild_book.set_roles(house.world.guild.id, "admin", admin_roles, actor="test")
    listed = await house.admin.slash("sync failed")
    await house.bot.guild_book.set_roles(
        house.world.guild.id, "admin", [house.world.add_role("Others").id], actor="test"
    )
    for pressed in (await reply.click("Look again"), await listed.click("Try all again"), await listed.select("0")):
        refused = await answered(pressed, "That did not work")
        assert refused.ephemeral
    assert await house.audited("job.retry") == []


# ---------------------------------------------------------------------- hostile names


async def test_hostile_names_do_nothing_and_limits_hold(house: House) -> None:
    many = 60
    for number in range(many):
        (house.copies() / f"{number:02}@everyone [x](http:evil) `{'*' * 90}` <@1>.txt").write_bytes(b"x")
    await house.done("mirror.reconcile", destination="nas")
    diagnosed = await told(await house.admin.slash("sync diagnose", destination="nas"))
    assert f"{many} files" in diagnosed.text
    assert "](http" not in "".join(part for part in diagnosed.text.split("`")[::2]), "a link outside of code"
    async with house.app.database.write() as connection:
        evil = {"state": "failed", "next_try_at": None, "reason": f"{EVIL}\n# big\n> {'@here ' * 200}"}
        await connection.execute(update(processed_files).values(evil))
        await connection.execute(update(mirror_objects).values(state="failed", reason=EVIL * 20))
    listed = await house.admin.slash("sync failed")
    assert f"Failed files: {2 * (len(FILES) + len(OTHER_FILES))}" in listed.text
    for _ in range(3):
        listed = await listed.click("▶")
    for line in ("sync status", "sync diagnose", "mirror status"):
        await told(await house.admin.slash(line))
    assert house.world.pings == []
    assert SECRET not in all_text(diagnosed)


async def test_german_answers_are_german(house: House) -> None:
    anna = house.world.user("anna", permissions=Permission.ADMINISTRATOR, locale="de")
    reply = await anna.slash("sync status")
    assert "gespeichert **" in reply.text
    assert "Neu ansehen" in [button.label for button in reply.buttons]
    jobs = await anna.slash("jobs list")
    assert "Kopieren nach" in jobs.text


# ---------------------------------------------------------------------- commands


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("python -m bot mirror sync b2", "/mirror backfill destination:`b2`"),
        ("python -m bot reconcile run b2 --dry-run", "/mirror reconcile destination:`b2` dry_run:`True`"),
        ("python -m bot sync --restore --dry-run --server main", "/sync restore server:`main`"),
        ("python -m bot sync", "/sync now"),
        ("python -m bot files retry --all --server main", "/sync failed server:`main`"),
        ("python -m bot diagnose --destination b2", "/sync diagnose destination:`b2`"),
        ("python -m bot mirror force a.txt --to b2", "/mirror force destination:`b2` file:`a.txt`"),
        ("python -m bot mirror force a.txt --from b2", "/mirror force destination:`b2` file:`a.txt` direction:`from`"),
        ("python -m bot jobs show 12", "/jobs show job:`12`"),
        ("python -m bot reconcile show 7", "/mirror runs run:`7`"),
        ("python -m bot diagnose --accept", "`python -m bot diagnose --accept`"),
        ("python -m bot setup", "`python -m bot setup`"),
        ("rm -rf `x`", "`rm -rf \N{MODIFIER LETTER GRAVE ACCENT}x\N{MODIFIER LETTER GRAVE ACCENT}`"),
    ],
)
def test_commands_are_told_as_slash_commands_where_there_are_some(typed: str, shown: str) -> None:
    assert command_told(typed, lambda name: f"/{name}") == shown
    assert (slash_for(typed) is None) == shown.startswith("`")
