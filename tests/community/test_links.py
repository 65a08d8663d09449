"""Links: by proof or an admin's word, one person and one player, and everything undone leaves a trace."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from bot.community.errors import CommunityError
from bot.community.links import MOST_REQUESTS, OPEN_SECONDS
from bot.db.schema import audit
from tests.community.conftest import HOME, OTHER, Town
from tests.stats.games import Person, import_all, play_match

ALICE, BOB = 1001, 1002
ANNA, BERT = "00000001", "00000002"


async def refused(code: str, work: object) -> None:
    with pytest.raises(CommunityError) as caught:
        await work  # type: ignore[misc]
    assert caught.value.code == code


async def play_as(town: Town, name: str, *, after: float) -> None:
    start = datetime.fromtimestamp(town.now + after, UTC).replace(tzinfo=None)
    people = [Person(1, name), Person(2), Person(3)], [Person(4), Person(5), Person(6)]
    await import_all(town.database, play_match(start, "radar", *people), server="main", zone="UTC")


async def actions(town: Town) -> list[str]:
    async with town.database.read() as connection:
        query = select(audit.c.action).where(audit.c.action.startswith("link.")).order_by(audit.c.id)
        return list((await connection.scalars(query)).all())


async def test_a_round_with_the_code_is_proof(town: Town) -> None:
    request = await town.links.ask(ALICE, ANNA, HOME)
    await play_as(town, "p1", after=100)
    assert await town.links.check_proofs() == []
    await play_as(town, f"^1p1 ^3{request.code.upper()}", after=4000)
    (link,) = await town.links.check_proofs()
    assert (link.user_id, link.player_key, link.method) == (ALICE, ANNA, "proof")
    assert await town.links.of_user(ALICE) is not None
    assert await town.links.check_proofs() == []
    assert await actions(town) == ["link.ask", "link.proof"]


async def test_a_code_that_somebody_else_bears_proves_nothing(town: Town) -> None:
    request = await town.links.ask(ALICE, BERT, HOME)
    await play_as(town, f"p1 {request.code}", after=100)
    assert await town.links.check_proofs() == []


async def test_a_code_is_void_after_its_time(town: Town) -> None:
    request = await town.links.ask(ALICE, ANNA, HOME)
    town.now += OPEN_SECONDS + 1
    await play_as(town, f"p1 {request.code}", after=100)
    assert await town.links.check_proofs() == []
    assert await town.links.waiting(ALICE) is None
    await refused("request_over", town.links.approve(request.id, guild_id=HOME, actor="discord:9"))


async def test_one_person_one_player(town: Town) -> None:
    request = await town.links.ask(ALICE, ANNA, HOME)
    rival = await town.links.ask(BOB, ANNA, HOME)
    await town.links.approve(request.id, guild_id=HOME, actor="discord:9")
    await refused("player_taken", town.links.approve(rival.id, guild_id=HOME, actor="discord:9"))
    await refused("linked_already", town.links.ask(ALICE, BERT, HOME))
    await refused("player_taken", town.links.ask(BOB, ANNA, HOME))
    # Bob's request was open: a proof does not take the player away either.
    await play_as(town, f"p1 {rival.code}", after=100)
    assert await town.links.check_proofs() == []
    link = await town.links.of_player(ANNA)
    assert link is not None
    assert link.user_id == ALICE


async def test_only_the_guild_that_was_asked_decides_and_once(town: Town) -> None:
    request = await town.links.ask(ALICE, ANNA, HOME)
    await refused("request_over", town.links.approve(request.id, guild_id=OTHER, actor="discord:9"))
    await refused("own_request", town.links.approve(request.id, guild_id=HOME, actor=f"discord:{ALICE}"))
    await town.links.refuse(request.id, guild_id=HOME, actor="discord:9")
    await refused("request_over", town.links.approve(request.id, guild_id=HOME, actor="discord:9"))
    assert await actions(town) == ["link.ask", "link.refuse"]


async def test_asking_anew_withdraws_and_asking_too_often_is_refused(town: Town) -> None:
    first = await town.links.ask(ALICE, ANNA, HOME)
    second = await town.links.ask(ALICE, BERT, HOME)
    assert await town.links.request_of(first.id) is None
    assert await town.links.waiting(ALICE) == second
    for _ in range(MOST_REQUESTS - 2):
        await town.links.ask(ALICE, ANNA, HOME)
    await refused("too_many_requests", town.links.ask(ALICE, ANNA, HOME))
    town.now += OPEN_SECONDS + 1
    await town.links.ask(ALICE, ANNA, HOME)


async def test_a_player_that_is_none_cannot_be_asked_for(town: Town) -> None:
    await refused("no_player", town.links.ask(ALICE, "FFFFFFFF", HOME))


async def test_undoing_shows_the_player_again(town: Town) -> None:
    request = await town.links.ask(ALICE, ANNA, HOME)
    await town.links.approve(request.id, guild_id=HOME, actor="discord:9")
    await town.privacy.hide(ALICE, hidden=True)
    assert await town.privacy.is_hidden(ANNA)
    undone = await town.links.undo(ALICE, actor="discord:9")
    assert undone is not None
    assert undone.player_key == ANNA
    assert not await town.privacy.is_hidden(ANNA)
    assert await town.links.undo(ALICE, actor="discord:9") is None
    assert await actions(town) == ["link.ask", "link.approval", "link.undo"]


async def test_hiding_needs_a_link(town: Town) -> None:
    await refused("not_linked", town.privacy.hide(ALICE, hidden=True))
