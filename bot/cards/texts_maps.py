"""Maps, weapons and who is online in words; see `bot.cards.texts`."""

from __future__ import annotations

from collections.abc import Sequence

from bot.cards.texts import Language, Told, clock, listed, result_told
from bot.cards.texts_people import leaderboard_lines, why_told
from bot.cogs.text import escape, when
from bot.stats.maps import Attacks, MapAnswer, MapInfo
from bot.stats.server_status import ServerStatus
from bot.stats.weapons import WeaponAnswer, WeaponOrder, WeaponTable


def maps_lines(found: Sequence[MapInfo], say: Language) -> list[str]:
    """Return a line for each map."""
    t = say.t
    return [
        f"**{escape(item.name)}** {t('games.rounds', count=item.rounds)} · {when(item.last_played_at, 'R')}"
        for item in found
    ]


def map_told(answer: MapAnswer, say: Language) -> Told:
    """Return a map in words."""
    t = say.t
    title = escape(answer.name)
    if not answer.rounds:
        return Told(title, (), (say.scope(answer.scope), t("games.empty.none_in_scope")))
    first, second, drawn = answer.results.values()
    head = f"{say.scope(answer.scope)}\n{t('games.rounds', count=answer.rounds)}"
    results = t("games.map_results", first=first, second=second, drawn=drawn)
    attacks = "\n".join(
        f"{t(key)}: {_attacks(found, say)}"
        for key, found in (("games.first_attack", answer.first), ("games.second_attack", answer.second))
    )
    fastest = [
        f"**{clock(item.seconds)}** {when(item.ended_at, 'd')} · "
        + ", ".join(escape(player.name) for player in item.attackers[:8])
        for item in answer.fastest[:3]
    ]
    best = leaderboard_lines(answer.best, say)[:5]
    last = [f"{when(item.match.ended_at, 'R')} {result_told(item.match, t)}" for item in answer.last[:3]]
    blocks = [head, results, attacks]
    for key, lines in (("games.fastest", fastest), ("games.last_matches", last)):
        if lines:
            blocks.append("\n".join([f"__{t(key)}__", *lines]))
    if best:
        blocks.append("\n".join([f"__{t('games.best', metric=say.title(answer.best.metric))}__", *best]))
    return Told(title, tuple(blocks), tuple(blocks))


def _attacks(found: Attacks, say: Language) -> str:
    return say.t(
        "games.attacks",
        won=found.completed,
        of=found.decided,
        percent=say.percent(found.win_percent),
        held=found.held,
        gave_up=found.gave_up,
        mean=clock(found.mean_seconds),
    )


def weapons_told(answer: WeaponTable, say: Language) -> Told:
    """Return every weapon in words, or why there is none."""
    t = say.t
    title = t("games.weapons")
    if answer.why_empty is not None:
        return Told(title, (), (say.scope(answer.scope), why_told(answer.why_empty, say)))
    lines = [
        f"**{escape(line.sums.weapon.display)}** {t('games.kills', count=line.sums.kills)}"
        + (f" · {say.percent(line.sums.accuracy, 1)}" if line.sums.accuracy is not None else "")
        for line in answer.weapons
        if line.sums.kills
    ]
    scope = say.scope(answer.scope)
    return Told(title, (scope,), (scope, listed(lines, t, 20)))


def weapon_told(answer: WeaponAnswer, say: Language) -> Told:
    """Return a weapon's best players in words, or why there is none."""
    t = say.t
    title = f"{escape(answer.weapon.display)} · {t(f'games.by.{answer.order.value}')}"
    scope = say.scope(answer.scope)
    if answer.why_empty is not None:
        return Told(title, (), (scope, why_told(answer.why_empty, say)))
    lines = weapon_lines(answer, say)
    totals = f"{t('games.kills', count=answer.totals.kills)}"
    if answer.totals.accuracy is not None:
        heads = say.percent(answer.totals.headshot_percent, 1)
        totals = t("games.weapon_all", kills=totals, accuracy=say.percent(answer.totals.accuracy, 1), headshots=heads)
    what = "games.hits" if answer.order is WeaponOrder.HEADSHOT_PERCENT else "games.shots"
    least = ""
    if answer.min_sample:
        needed = t(what, count=answer.min_sample)
        least = "-# " + t("games.from", least=needed, qualified=answer.qualified, seen=answer.seen)
    blocks = tuple(block for block in (f"{scope}\n{totals}", listed(lines, t), least) if block)
    return Told(title, blocks, blocks)


def weapon_lines(answer: WeaponAnswer, say: Language) -> list[str]:
    """Return a line for each place."""
    t = say.t
    counts = answer.order in (WeaponOrder.KILLS, WeaponOrder.HEADSHOTS)
    return [
        f"{entry.rank}. **{escape(entry.player.name)}** "
        + (t.number(entry.value) if counts else say.percent(entry.value, 1))
        + f" · {t('games.kills', count=entry.sums.kills)}, {t('games.shots', count=entry.sums.shots)}"
        for entry in answer.entries
    ]


def status_told(status: ServerStatus, say: Language) -> Told:
    """Return who is on a game server."""
    t = say.t
    place = [f"**{escape(status.map_name, 64)}**"]
    if status.time_limit is not None:
        place.append(t("games.time_limit", minutes=t.number(status.time_limit, 0)))
    if status.needs_password:
        place.append(t("games.needs_password"))
    slots = "" if status.max_players is None else f" / {status.max_players}"
    there = t("games.online", count=len(status.players)) + slots
    people = [
        f"**{escape(player.name)}** · {t('games.score_ping', score=player.score, ping=player.ping)}"
        for player in status.players
    ]
    blocks = [
        f"{' · '.join(place)}\n{there}",
        listed(people, t, 32),
        f"-# {t('games.asked', when=when(status.asked_at, 'R'))}",
    ]
    return Told(escape(status.title, 64), tuple(b for b in blocks if b), tuple(b for b in blocks if b))
