"""Keys of programs: shown once, kept as hashes, ended by time or by a person, and all of it in the audit."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from bot.community.errors import CommunityError
from bot.community.keys import LONGEST_NAME, MOST_DAYS, Keys, Scope
from bot.db.schema import audit, web_keys
from tests.community.conftest import Town


@pytest.fixture
def keys(town: Town) -> Keys:
    return Keys(town.database, lambda: town.now)


async def test_keys_are_kept_as_hashes_end_and_can_be_revoked(town: Town, keys: Keys) -> None:
    key, text = await keys.add("a program", [Scope.SYNC], "cli:anna", days=2)
    other, other_text = await keys.add("another", [Scope.GAMES], "cli:anna")
    assert len(text) >= 43 + len("etl_")
    async with town.database.read() as connection:
        kept = str((await connection.execute(select(web_keys))).all())
    assert text not in kept
    assert key.hint in text
    assert await keys.list() == [other, key]
    found = await keys.find(text)
    assert found == key
    assert found.scopes == (Scope.SYNC,)
    for wrong in (text[:-1], text + "x", "", "etl_", text.swapcase()):
        assert await keys.find(wrong) is None
    town.now += 2 * 86400
    assert await keys.find(text) is None, "it has ended"
    assert [item.opens(town.now) for item in await keys.list()] == [True, False]
    assert await keys.revoke(other.id, "cli:anna")
    assert await keys.find(other_text) is None
    assert not await keys.revoke(other.id, "cli:anna"), "it was revoked already"
    async with town.database.read() as connection:
        query = select(audit.c.action, audit.c.actor, audit.c.target).where(audit.c.action.startswith("web.key"))
        acts = (await connection.execute(query.order_by(audit.c.id))).all()
    assert [tuple(act) for act in acts] == [
        ("web.key.add", "cli:anna", f"key:{key.id}"),
        ("web.key.add", "cli:anna", f"key:{other.id}"),
        ("web.key.revoke", "cli:anna", f"key:{other.id}"),
    ]


async def test_when_a_key_was_used_is_noted_to_the_hour(town: Town, keys: Keys) -> None:
    _, text = await keys.add("a program", [Scope.GAMES], "test")
    await keys.find(text)
    (used,) = await keys.list()
    assert used.last_used_at == town.now - town.now % 3600
    town.now += 2 * 3600
    await keys.find(text)
    (again,) = await keys.list()
    assert again.last_used_at == used.last_used_at + 2 * 3600


@pytest.mark.parametrize("name", ["", "  ", "x" * (LONGEST_NAME + 1), "two\nlines", "\x1b[31mred", "gnp.\u202eexe"])
async def test_a_name_that_would_do_something_in_a_terminal_is_none(keys: Keys, name: str) -> None:
    with pytest.raises(CommunityError, match="letters") as caught:
        await keys.add(name, [Scope.GAMES], "test")
    assert caught.value.code == "key_name"
    assert await keys.list() == []


async def test_a_key_opens_something_and_ends_in_sight(keys: Keys) -> None:
    for scopes, days, code in (
        ((), None, "key_scopes"),
        ((Scope.GAMES,), 0, "key_days"),
        ((), MOST_DAYS, "key_scopes"),
    ):
        with pytest.raises(CommunityError) as caught:
            await keys.add("a program", scopes, "test", days=days)
        assert caught.value.code == code
    with pytest.raises(CommunityError):
        await keys.add("a program", [Scope.GAMES], "test", days=MOST_DAYS + 1)
    assert await keys.list() == []
    key, _ = await keys.add(f" {'x' * LONGEST_NAME} ", [Scope.SYNC, Scope.GAMES, Scope.SYNC], "test", days=MOST_DAYS)
    assert (key.name, key.scopes) == ("x" * LONGEST_NAME, (Scope.GAMES, Scope.SYNC))
