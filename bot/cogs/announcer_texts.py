"""What announcements say: pure functions from answers to a heading and blocks of markdown.

Short, because many of them stand below each other; a button shows the rest to whoever wants it. Every name from
outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bot.cards.texts import Language, attack_told, clock, flags_told, result_told
from bot.cogs.text import escape, when
from bot.stats.leaderboards import METRICS
from bot.stats.matches import MatchAnswer, PlayerInfo, RoundInfo, RoundOutcome
from bot.stats.totals import Totals
from parsers import MapResult

BEST: Final = 3
"""Players that a message names."""

MOST_NAMES: Final = 12
"""Players of a team that a message names."""

MEDALS: Final = ("🥇", "🥈", "🥉")


@dataclass(frozen=True, slots=True)
class News:
    """What a message says: its heading, and blocks of markdown."""

    title: str
    blocks: tuple[str, ...]


def match_news(found: MatchAnswer, say: Language) -> News:
    """Return what is said of a match: of its first round while there is only that, of both when both are here."""
    first, second = found.match.round_1, found.match.round_2
    if first is not None and second is None:
        return _one_round(found, first, say)
    return _whole_match(found, say)


def _one_round(found: MatchAnswer, played: RoundInfo, say: Language) -> News:
    t = say.t
    rows = [(row.player, row.totals) for row in found.by_round.get(played.id, ())]
    people = t("news.against", axis=played.axis, allies=played.allies)
    blocks = (
        f"{_where(found, played.ended_at)} · {people}",
        t("news.first_attack", how=attack_told(played, say), limit=_limit(played, say)),
        _to_beat(played, say),
        _best(rows, say),
        flags_told(found.match.flags, t),
    )
    return News(f"{escape(found.match.map_name)} · {t('games.round', number=played.number)}", _kept(blocks))


def _to_beat(played: RoundInfo, say: Language) -> str:
    """Return what the second attack has to do."""
    if played.outcome is RoundOutcome.COMPLETED and played.seconds is not None:
        return say.t("news.to_beat", time=clock(played.seconds))
    if played.outcome in (RoundOutcome.HELD, RoundOutcome.GAVE_UP):
        return say.t("news.to_complete")
    return ""


def _whole_match(found: MatchAnswer, say: Language) -> News:
    t, match = say.t, found.match
    attacks = "\n".join(
        t(f"news.{name}_attack", how=attack_told(played, say), limit=_limit(played, say))
        for name, played in (("first", match.round_1), ("second", match.round_2))
    )
    winners = _winners(found)
    result = result_told(match, t)
    if winners:
        result = f"🏆 **{_names(winners, say)}**\n{result}"
    elif match.result is MapResult.DRAW:
        result = f"🤝 {result}"
    blocks = (
        _where(found, match.ended_at),
        result,
        attacks,
        _best([(item.player, item.totals) for item in found.players], say),
        flags_told(match.flags, t),
    )
    return News(escape(match.map_name), _kept(blocks))


def _winners(found: MatchAnswer) -> list[PlayerInfo]:
    """Return the players of the team that won the map; none for a draw or where it is not decided."""
    wanted = {MapResult.R1_ATTACKERS: True, MapResult.R2_ATTACKERS: False}.get(
        found.match.result or MapResult.DRAW  # a draw has no winners either
    )
    return [] if wanted is None else [item.player for item in found.players if item.attacked_first is wanted]


def _names(people: Sequence[PlayerInfo], say: Language) -> str:
    shown = ", ".join(escape(player.name) for player in people[:MOST_NAMES])
    left = len(people) - MOST_NAMES
    return shown if left <= 0 else f"{shown} {say.t('games.more', count=left)}"


def _where(found: MatchAnswer, at: int) -> str:
    return f"**{escape(found.server.name)}** · {when(at, 't')}"


def _limit(played: RoundInfo | None, say: Language) -> str:
    # A full hold lasted for the whole limit.
    if played is None or played.time_limit is None or played.outcome is RoundOutcome.HELD:
        return ""
    return " " + say.t("games.limit", limit=clock(played.time_limit))


def _best(rows: Iterable[tuple[PlayerInfo, Totals]], say: Language) -> str:
    """Return who did most damage a minute; the rows come in that order."""
    dpm = METRICS["dpm"]
    lines = [
        f"{medal} **{escape(player.name)}** {say.metric(dpm, totals.dpm)} · {totals.kills}/{totals.deaths}"
        for medal, (player, totals) in zip(MEDALS, list(rows)[:BEST], strict=False)
        if totals.dpm is not None
    ]
    return "\n".join(lines)


def pointer_news(title: str, link: str, say: Language) -> News:
    """Return what stands in place of a message whose evening or map is told by another one now."""
    return News(title, (say.t("news.see", link=link),))


def _kept(blocks: Iterable[str]) -> tuple[str, ...]:
    return tuple(block for block in blocks if block)
