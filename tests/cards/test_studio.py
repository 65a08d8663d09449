"""The drawing processes: started when needed, ended when not, replaced when they die; and the memory of pictures."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.cards.picture import CardError, CardOptions, ImageFormat, ThemeName
from bot.cards.session import SessionCard, session_card
from bot.cards.studio import Studio
from tests.cards.test_svg import named

OPTIONS = CardOptions()
DISCORD_LIMIT = 10 * 2**20


@dataclass(frozen=True)
class Untrue:
    """A card that nothing draws."""

    title: str = "t"
    alt_text: str = "a"
    name: str = "n"


@dataclass(frozen=True)
class Poison:
    """A card that does something to whoever unpacks it."""

    code: str
    title: str = "t"
    alt_text: str = "a"
    name: str = "n"

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return exec, (self.code,)


def card(name: str = "anna") -> SessionCard:
    return session_card(named(name), OPTIONS)


def pid(studio: Studio) -> int:
    return studio._free[-1]._process.pid


def gone(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


async def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process says nothing
            await asyncio.sleep(0.02)


MakeStudio = Callable[..., Studio]


@pytest.fixture
async def studio() -> AsyncIterator[MakeStudio]:
    made: list[Studio] = []

    def make(**options: float) -> Studio:
        made.append(Studio(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def test_a_picture_is_a_png_of_fair_size(studio: MakeStudio) -> None:
    picture = await studio().draw(card(), OPTIONS)
    assert picture.data.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.width == 1280
    assert picture.height > 300
    assert len(picture.data) < 2**20 < DISCORD_LIMIT
    assert picture.file_name.endswith(".png")
    assert "anna" in picture.alt_text


async def test_nothing_starts_before_it_is_needed_and_one_process_serves_all(studio: MakeStudio) -> None:
    one = studio()
    assert one.processes == 0
    await one.draw(card("a"), OPTIONS)
    first = pid(one)
    await one.draw(card("b"), OPTIONS)
    assert pid(one) == first
    assert one.processes == 1


async def test_the_same_picture_comes_from_memory(studio: MakeStudio) -> None:
    one = studio()
    first = await one.draw(card(), OPTIONS)
    again = await one.draw(card(), CardOptions())
    assert again is first
    assert one.drawn == 1
    others = (
        replace(OPTIONS, theme=ThemeName.LIGHT),
        replace(OPTIONS, image=ImageFormat.SVG),
        replace(OPTIONS, scale=1.0),
    )
    for other in others:
        assert (await one.draw(card(), other)).data != first.data
    await one.draw(card("other"), OPTIONS)
    assert one.drawn == 5


async def test_asked_twice_at_once_it_is_drawn_once(studio: MakeStudio) -> None:
    one = studio(processes=2)
    found = await asyncio.gather(*(one.draw(card(), OPTIONS) for _ in range(5)))
    assert one.drawn == 1
    assert all(picture is found[0] for picture in found)


async def test_who_does_not_want_to_wait_long_is_told_so_at_once(studio: MakeStudio) -> None:
    one = studio()
    first = asyncio.create_task(one.draw(card("a"), OPTIONS))
    await asyncio.sleep(0)
    with pytest.raises(CardError, match="1 other pictures wait"):
        await one.draw(card("b"), OPTIONS, most_waiting=1)
    # The same one waits with the first, and what is finished waits for nobody.
    assert await one.draw(card("a"), OPTIONS, most_waiting=1) is await first
    assert await one.draw(card("a"), OPTIONS, most_waiting=0) is await first
    assert (await one.draw(card("b"), OPTIONS, most_waiting=1)).data


async def test_who_stops_waiting_takes_nothing_from_the_others(studio: MakeStudio) -> None:
    one = studio()
    impatient = asyncio.create_task(one.draw(card(), OPTIONS))
    patient = asyncio.create_task(one.draw(card(), OPTIONS))
    await asyncio.sleep(0.05)
    impatient.cancel()
    assert (await patient).width == 1280


async def test_memory_is_bounded_by_bytes(studio: MakeStudio) -> None:
    one = studio(cache_bytes=150_000)
    first = await one.draw(card("a"), OPTIONS)
    size = len(first.data)
    for number in range(150_000 // size + 1):
        await one.draw(card(f"b{number}"), OPTIONS)
    assert await one.draw(card("a"), OPTIONS) is not first
    assert one._cache._taken <= 150_000
    assert one._cache._taken == sum(len(picture.data) for picture in one._cache._pictures.values())


async def test_idle_processes_end(studio: MakeStudio) -> None:
    one = studio(idle=0.2)
    await one.draw(card(), OPTIONS)
    number = pid(one)
    await eventually(lambda: gone(number))
    assert one.processes == 0
    assert (await one.draw(card("next"), OPTIONS)).width == 1280


async def test_idle_processes_end_also_after_another_died(studio: MakeStudio) -> None:
    one = studio(processes=2, idle=1000)
    await asyncio.gather(one.draw(card("a"), OPTIONS), one.draw(card("b"), OPTIONS))
    numbers = [process._process.pid for process in one._free]
    one._idle = 0.2
    with pytest.raises(CardError, match="ended"):
        await one.draw(Poison("import os; os._exit(3)"), OPTIONS)
    await eventually(lambda: all(gone(number) for number in numbers))


async def test_a_process_is_replaced_after_so_many_pictures(studio: MakeStudio) -> None:
    one = studio(pictures_per_process=2)
    await one.draw(card("a"), OPTIONS)
    first = pid(one)
    await one.draw(card("b"), OPTIONS)
    await eventually(lambda: gone(first))
    await one.draw(card("c"), OPTIONS)
    assert pid(one) != first


async def test_a_process_that_dies_is_told_and_replaced(studio: MakeStudio) -> None:
    one = studio()
    await one.draw(card(), OPTIONS)
    with pytest.raises(CardError, match=r"ended by signal 11.*next picture gets a new one"):
        await one.draw(Poison("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"), OPTIONS)
    assert one.processes == 0
    assert (await one.draw(card("after"), OPTIONS)).width == 1280


async def test_a_process_killed_between_pictures_is_not_noticed(studio: MakeStudio) -> None:
    one = studio()
    await one.draw(card(), OPTIONS)
    process = one._free[-1]
    os.kill(pid(one), signal.SIGKILL)
    await eventually(lambda: not process.alive)
    assert (await one.draw(card("after"), OPTIONS)).width == 1280


async def test_a_picture_that_takes_too_long_is_given_up(studio: MakeStudio) -> None:
    one = studio(deadline=1000)
    await one.draw(card(), OPTIONS)
    number = pid(one)
    one._deadline = 0.3
    with pytest.raises(CardError, match="not ready after"):
        await one.draw(Poison("import time; time.sleep(60)"), OPTIONS)
    assert gone(number)
    one._deadline = 1000
    assert (await one.draw(card("after"), OPTIONS)).width == 1280


async def test_a_mistake_in_drawing_is_told_and_the_process_stays(studio: MakeStudio) -> None:
    one = studio()
    await one.draw(card(), OPTIONS)
    number = pid(one)
    broken = replace(card(), maps=(None,))  # type: ignore[arg-type]
    with pytest.raises(CardError, match="AttributeError"):
        await one.draw(broken, OPTIONS)
    assert pid(one) == number
    with pytest.raises(CardError, match="could not be drawn"):
        await one.draw(Untrue(), OPTIONS)


async def test_what_a_library_prints_is_no_answer(studio: MakeStudio) -> None:
    one = studio()
    with pytest.raises(CardError, match="could not be drawn"):
        await one.draw(Poison("print('x' * 100, flush=True)"), OPTIONS)
    assert (await one.draw(card("after"), OPTIONS)).width == 1280


async def test_closing_ends_everything(studio: MakeStudio) -> None:
    one = studio(processes=2)
    await asyncio.gather(one.draw(card("a"), OPTIONS), one.draw(card("b"), OPTIONS))
    numbers = [process._process.pid for process in one._free]
    folder = one._folder
    slow = asyncio.create_task(one.draw(Poison("import time; time.sleep(60)"), OPTIONS))
    await asyncio.sleep(0.1)
    await one.close()
    with pytest.raises(CardError, match="stopping"):
        await slow
    assert all(gone(number) for number in numbers)
    assert folder is not None
    assert not folder.exists()
    with pytest.raises(CardError, match="stopping"):
        await one.draw(card("late"), OPTIONS)


async def test_a_process_warmed_up_waits_for_the_first_picture(studio: MakeStudio) -> None:
    one = studio()
    await one.warm()
    number = pid(one)
    await one.draw(card(), OPTIONS)
    assert pid(one) == number


Probe = Callable[[str], Awaitable[str]]


@pytest.fixture
def probe(studio: MakeStudio, tmp_path: Path) -> Probe:
    """Run something in a drawing process, and return what it says."""

    async def run(expression: str) -> str:
        one = studio()
        await one.draw(card(), OPTIONS)
        out = tmp_path / "probe.txt"
        with pytest.raises(CardError):
            await one.draw(
                Poison(f"import os, sys, pathlib; pathlib.Path({str(out)!r}).write_text({expression})"), OPTIONS
            )
        return out.read_text()

    return run


async def test_a_drawing_process_has_no_secrets(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "canary")
    monkeypatch.setenv("B2_APPLICATION_KEY", "canary")
    assert "canary" not in await probe("repr(dict(os.environ))")


async def test_a_drawing_process_loads_neither_discord_nor_a_database(probe: Probe) -> None:
    loaded = set((await probe("' '.join(sys.modules)")).split())
    assert "matplotlib.figure" in loaded
    unwanted = {
        "discord",
        "sqlalchemy",
        "aiosqlite",
        "asyncpg",
        "matplotlib.pyplot",
        "bot.db",
        "bot.stats",
        "bot.config",
    }
    assert loaded & unwanted == set()


def test_asking_for_pictures_does_not_load_what_draws_them() -> None:
    modules = (
        "bot.cards.studio, bot.cards.session, bot.cards.scoreboard, bot.cards.player, bot.cards.compare, "
        "bot.cards.leaderboard, bot.cards.timeline, bot.cards.weapons"
    )
    code = f"import sys, {modules}; print([m for m in ('matplotlib', 'numpy', 'sqlalchemy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_drawing_process_ends_with_its_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot.cards.drawing.process"], input=b"", capture_output=True, check=True, timeout=60
    )
    assert len(done.stdout) == 13
