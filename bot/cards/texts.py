"""What stands in an answer about games beside its picture, and in its place where there is none: markdown, by block.

Pure functions from answers to texts. Every name from outside is escaped here. `Told.brief` stands below a picture,
`Told.full` says all of it in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.cards import facts
from bot.cards.numbers import number as shown_number
from bot.cards.words import Words
from bot.cogs.text import escape, when
from bot.locales import Texts
from bot.stats.leaderboards import METRICS, Metric, Scope
from bot.stats.matches import MatchAnswer, MatchInfo, RoundInfo
from bot.stats.rounds import RoundAnswer
from bot.stats.sessions import SessionAnswer, SessionMatch
from bot.stats.totals import Totals
from parsers import MapResult

MOST_LINES = 16
"""Lines of one block; the others are counted."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer in words: its heading, and blocks of markdown."""

    title: str
    brief: tuple[str, ...]
    full: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """What texts are made with: the bot's texts, and the words that also stand on pictures."""

    t: Texts
    words: Words

    def metric(self, metric: Metric, value: float | None) -> str:
        """Return a metric's value with its unit."""
        return facts.metric_value(metric, value, self.words)

    def percent(self, value: float | None, decimals: int = 0) -> str:
        """Return a percentage (0 to 100) as pictures show it."""
        return self.t.number(None) if value is None else shown_number(value, self.words, decimals) + self.words.percent

    def title(self, metric: Metric) -> str:
        """Return a metric's name."""
        return facts.metric_title(metric, self.words)

    def scope(self, scope: Scope) -> str:
        """Return which rounds numbers are over, escaped."""
        return escape(facts.scope_text(scope, self.words), 200)

    def numbers(self, totals: Totals) -> str:
        """Return what there is to say of a player in one short line."""
        shown = (METRICS["dpm"], METRICS["accuracy"])
        dpm, accuracy = (self.metric(metric, metric.of(totals)) for metric in shown)
        kd = self.t.number(totals.kd, 2)
        return f"{dpm} · {totals.kills}/{totals.deaths} ({kd}) · {accuracy}"


def listed(lines: Iterable[str], t: Texts, most: int = MOST_LINES) -> str:
    """Return lines as one block; those beyond `most` are counted."""
    found = list(lines)
    if len(found) > most:
        found = [*found[: most - 1], t("games.more", count=len(found) - most + 1)]
    return "\n".join(found)


def clock(seconds: float | None) -> str:
    """Return a duration as M:SS."""
    return "?" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02}"


# ---------------------------------------------------------------------- sessions


def session_told(answer: SessionAnswer, say: Language) -> Told:
    """Return a session in words."""
    t = say.t
    counts = f"{t('games.maps', count=len(answer.matches))}, {t('games.rounds', count=answer.rounds)}"
    if answer.rounds_left_out:
        counts += f", {t('games.left_out', count=answer.rounds_left_out)}"
    head = f"**{escape(answer.server.name)}** · {when(answer.started_at, 't')} - {when(answer.ended_at, 't')}\n{counts}"
    if not answer.counted:
        head += f"\n{t('games.session_not_counted')}"
    scores = [score for line_up in _line_ups(answer, t) for score in line_up]
    maps = listed((_map_line(item, say) for item in answer.matches), t)
    players = listed(
        (f"{place}. **{escape(p.player.name)}** {say.numbers(p.totals)}" for place, p in enumerate(answer.players, 1)),
        t,
    )
    mvp = "" if answer.mvp is None else t("games.mvp", player=escape(answer.mvp.player.name))
    if answer.mvp is not None:
        mvp += f" · {say.numbers(answer.mvp.totals)}"
    notes = flags_told(answer.flags, t)
    brief = (head, *scores[:3], mvp, notes)
    full = (head, *scores, maps, players, notes)
    return Told(t("games.session", day=when(answer.started_at, "D")), _kept(brief), _kept(full))


def _line_ups(answer: SessionAnswer, t: Texts) -> Iterable[tuple[str, ...]]:
    for number, line_up in enumerate(answer.line_ups, 1):
        name = f"{t('games.line_up', number=number)}: " if len(answer.line_ups) > 1 else ""
        score = t("games.score", a=line_up.team_a.score, b=line_up.team_b.score)
        sides = [
            f"{team.label.value}: " + ", ".join(escape(member.player.name) for member in team.members[:12])
            for team in (line_up.team_a, line_up.team_b)
        ]
        yield ("\n".join([f"{name}**{score}**", *sides]),)


def _map_line(item: SessionMatch, say: Language) -> str:
    match = item.match
    first = "" if item.attacked_first is None else item.attacked_first.value
    second = "" if item.attacked_first is None else item.attacked_first.other.value
    attacks = " · ".join(
        " ".join(part for part in (team, attack_told(played, say)) if part)
        for team, played in ((first, match.round_1), (second, match.round_2))
    )
    if match.result is None:
        result = say.t("games.undecided")
    elif item.winner is None:
        result = result_word(match.result, say.t)
    else:
        result = f"**{item.winner.value}**"
    return f"{match.position}. **{escape(match.map_name)}** {attacks} → {result}"


def attack_told(played: RoundInfo | None, say: Language) -> str:
    """Return how an attack went."""
    return facts.attack(played, None, say.words).text


def flags_told(flags: Iterable[str], t: Texts) -> str:
    """Return what a reader of the numbers has to know."""
    return "\n".join(f"-# {t(f'games.flag.{spelled(flag)}')}" for flag in flags)


def _kept(blocks: Sequence[str]) -> tuple[str, ...]:
    return tuple(block for block in blocks if block)


# ---------------------------------------------------------------------- matches and rounds


def match_told(answer: MatchAnswer, say: Language) -> Told:
    """Return a match in words: its result by the stopwatch rule, and why."""
    t, match = say.t, answer.match
    head = f"**{escape(answer.server.name)}** · {when(match.started_at)}"
    attacks = "\n".join(
        t("games.attack", number=number, how=attack_told(played, say), limit=_limit(played, t))
        for number, played in ((1, match.round_1), (2, match.round_2))
    )
    players = listed(
        (
            f"{place}. {_which(item.attacked_first)} **{escape(item.player.name)}** {say.numbers(item.totals)}"
            for place, item in enumerate(answer.players, 1)
        ),
        t,
    )
    notes = flags_told(match.flags, t)
    brief = (head, result_told(match, t), attacks, notes)
    return Told(
        escape(match.map_name), _kept(brief), _kept((*brief[:3], players, t("games.which") if players else "", notes))
    )


def _which(attacked_first: bool | None) -> str:
    return {True: "①", False: "②", None: "↔"}[attacked_first]


def _limit(played: RoundInfo | None, t: Texts) -> str:
    if played is None or played.time_limit is None:
        return ""
    return " " + t("games.limit", limit=clock(played.time_limit))


def result_told(match: MatchInfo, t: Texts) -> str:
    """Return who won, and why."""
    return f"**{result_word(match.result, t)}**: {t(f'games.why.{spelled(match.why.name)}')}"


def result_word(result: MapResult | None, t: Texts) -> str:
    """Return a result in words."""
    if result is None:
        return t("games.result.undecided")
    return t(f"games.result.{_RESULTS[result]}")


_RESULTS = {MapResult.R1_ATTACKERS: "first", MapResult.R2_ATTACKERS: "second", MapResult.DRAW: "draw"}


def spelled(name: str) -> str:
    """Return a name of the services as it stands in a text's key, which has letters only."""
    return name.lower().replace("_1", "_one").replace("_2", "_two")


def round_told(answer: RoundAnswer, say: Language) -> Told:
    """Return a round in words, with its awards."""
    t, played = say.t, answer.round
    head = f"**{escape(answer.server.name)}** · {when(played.started_at)}\n{t('games.round_key', key=answer.selector)}"
    how = t("games.attack", number=played.number, how=attack_told(played, say), limit=_limit(played, t))
    if played.excluded is not None:
        how += f"\n-# {t(f'games.excluded.{spelled(played.excluded)}')}"
    sides = []
    for side in (1, 2):
        rows = [row for row in answer.players if row.side == side]
        if rows:
            role = t("games.attacked") if side == played.attackers else t("games.defended")
            lines = [f"**{escape(row.name)}** {say.numbers(row.totals)}" for row in rows]
            sides.append(listed([f"__{say.words.axis if side == 1 else say.words.allies}, {role}__", *lines], t))
    given = [
        f"{escape(item.title, 60)}: **{escape(item.player_name)}** {escape(item.text, 40)}"
        for item in answer.awards
        if not item.doubtful
    ]
    awards = listed([f"__{t('games.awards')}__", *given], t, 10) if given else ""
    title = f"{escape(answer.map_name)} · {t('games.round', number=played.number)}"
    notes = flags_told(played.flags, t)
    return Told(title, _kept((head, how, awards, notes)), _kept((head, how, *sides, awards, notes)))
