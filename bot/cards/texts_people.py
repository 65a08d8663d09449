"""Players, comparisons, leaderboards and records in words; see `bot.cards.texts`."""

from __future__ import annotations

from collections.abc import Sequence

from bot.cards.texts import Language, Told, listed, spelled
from bot.cogs.text import escape, when
from bot.stats.compare import ComparedMetric, ComparedPair, Comparison
from bot.stats.form import MapOutcome, PlayerForm
from bot.stats.leaderboards import METRICS, Leaderboard, Sample, WhyEmpty
from bot.stats.partners import MapRecord, Partner, PartnersAnswer
from bot.stats.players import PlayerAnswer
from bot.stats.record_lines import Grain
from bot.stats.records import RecordMark, Records

SIGNS = {MapOutcome.WON: "🟩", MapOutcome.LOST: "🟥", MapOutcome.DRAWN: "⬜"}
"""A map's outcome at a glance; the letters beside say the same without colours."""


def why_told(why: WhyEmpty, say: Language) -> str:
    """Return why there is nothing to show, and what to do."""
    return say.t(f"games.empty.{why.name.lower()}")


# ---------------------------------------------------------------------- a player


def player_told(answer: PlayerAnswer, form: PlayerForm, company: PartnersAnswer, say: Language) -> Told:
    """Return a player in words."""
    t, totals = say.t, answer.totals
    others = [escape(item.name) for item in answer.names if item.name != answer.player.name][:4]
    head = [
        say.scope(answer.scope),
        t("games.seen", first=when(answer.first_seen_at, "D"), last=when(answer.last_seen_at, "R")),
    ]
    if others:
        head.append(t("games.also", names=", ".join(others)))
    played = t(
        "games.played", rounds=t("games.rounds", count=totals.rounds), hours=t.number(totals.time_played / 3600, 1)
    )
    maps = record_told(MapRecord(totals.matches_won, totals.matches_lost, totals.matches_drawn), say)
    ranks = [
        f"{say.title(METRICS[key])}: **{say.metric(METRICS[key], rank.value)}** "
        + (t("games.rank", rank=rank.rank, of=rank.of) if rank.rank else t("games.unranked", count=rank.min_rounds))
        for key, rank in answer.ranks.items()
    ]
    weapons = [
        f"{escape(item.display)}: {t('games.kills', count=item.kills)}"
        + (f", {say.percent(item.accuracy, 1)}" if item.accuracy is not None else "")
        for item in answer.weapons[:5]
        if item.kills
    ]
    brief = ("\n".join(head), f"{played}\n{maps}", form_told(form, say))
    full = (*brief[:2], "\n".join(ranks), form_told(form, say), "\n".join(weapons), *company_told(company, say, 3))
    title = escape(answer.player.name)
    return Told(title, tuple(b for b in brief if b), tuple(b for b in full if b))


def form_told(form: PlayerForm, say: Language) -> str:
    """Return a player's form: his latest maps, and the streak he is in."""
    if form.streak.outcome is None:
        return ""
    t = say.t
    signs = "".join(SIGNS[outcome] for outcome in form.latest)
    letters = " ".join(t(f"games.letter.{outcome.value}") for outcome in form.latest)
    streak = t(f"games.streak.{form.streak.outcome.value}", count=form.streak.length)
    lines = [f"{signs}\n{letters}", f"{streak} {t('games.longest', count=form.longest_won)}"]
    for value in form.values[:1]:
        if value.better is not None:
            word = t("games.better") if value.better else t("games.worse")
            recent, before = say.metric(value.metric, value.recent), say.metric(value.metric, value.before)
            lines.append(t("games.form", recent=recent, before=before, word=word))
    return "\n".join(lines)


def record_told(record: MapRecord, say: Language) -> str:
    """Return maps won, lost and drawn."""
    shown = say.t("games.record", won=record.won, lost=record.lost, drawn=record.drawn)
    return shown if record.win_percent is None else f"{shown} ({say.percent(record.win_percent)})"


def company_told(answer: PartnersAnswer, say: Language, most: int = 10) -> list[str]:
    """Return with whom and against whom a player wins."""
    t = say.t
    blocks = []
    for key, found, least in (
        ("games.with", answer.partners, answer.min_maps),
        ("games.against", answer.opponents, answer.min_maps_against),
    ):
        if found:
            blocks.append("\n".join([f"__{t(key, count=least)}__", *_company(found[:most], say)]))
    return blocks


def _company(found: Sequence[Partner], say: Language) -> list[str]:
    return [f"**{escape(item.player.name)}** {record_told(item.record, say)}" for item in found]


# ---------------------------------------------------------------------- a comparison


def comparison_told(answer: Comparison, say: Language) -> Told:
    """Return a comparison in words: every metric with what it rests on, and the maps."""
    t = say.t
    names = [escape(player.name, 20) for player in answer.players]
    rounds = " · ".join(
        f"**{name}** {t('games.rounds', count=count)}" for name, count in zip(names, answer.rounds, strict=True)
    )
    head = f"{say.scope(answer.scope)}\n{rounds}"
    pairs = [_pair(pair, say) for pair in answer.pairs]
    values = [_compared(item, names, say) for item in answer.metrics]
    return Told(" · ".join(names), (head, *pairs), (head, "\n".join(values), t("games.percentile"), *pairs))


def _compared(item: ComparedMetric, names: Sequence[str], say: Language) -> str:
    shown = []
    for value in item.values:
        text = say.metric(item.metric, value.value)
        if value.percentile is not None:
            text += f" ({say.t.number(value.percentile)})"
        shown.append(f"**{text}**" if value.best else text)
    return f"{say.title(item.metric)}: " + " · ".join(shown)


def _pair(pair: ComparedPair, say: Language) -> str:
    t = say.t
    one, other = escape(pair.player.name, 20), escape(pair.other.name, 20)
    return "\n".join(
        (
            t("games.pair_against", one=one, other=other, record=record_told(pair.against, say)),
            t("games.pair_with", one=one, other=other, record=record_told(pair.together, say)),
            t("games.pair_without", one=one, other=other, record=record_told(pair.without, say)),
            t("games.pair_without", one=other, other=one, record=record_told(pair.other_without, say)),
        )
    )


# ---------------------------------------------------------------------- leaderboards and records


def leaderboard_told(answer: Leaderboard, say: Language) -> Told:
    """Return a leaderboard in words, or why it is empty."""
    if answer.why_empty is not None:
        title = say.title(answer.metric)
        return Told(title, (), (say.scope(answer.scope), why_told(answer.why_empty, say)))
    lines = leaderboard_lines(answer, say)
    basis = f"{say.scope(answer.scope)}\n-# {least_told(answer, say)}"
    return Told(say.title(answer.metric), (basis,), (listed(lines, say.t), basis))


def leaderboard_lines(answer: Leaderboard, say: Language) -> list[str]:
    """Return a line for each place."""
    return [
        f"{entry.rank}. **{escape(entry.player.name)}** {say.metric(answer.metric, entry.value)} "
        f"· {say.t('games.rounds', count=entry.rounds)}"
        for entry in answer.entries
    ]


def least_told(answer: Leaderboard, say: Language) -> str:
    """Return who is ranked."""
    t = say.t
    least = t("games.rounds", count=answer.min_rounds)
    if answer.min_sample:
        what = "games.shots" if answer.metric.sample is Sample.SHOTS else "games.kills"
        least = f"{least}, {t(what, count=answer.min_sample)}"
    return t("games.from", least=least, qualified=answer.qualified, seen=answer.seen)


def records_told(found: Sequence[Records], grain: Grain, say: Language) -> Told:
    """Return records: the best mark of several metrics, or the best marks of one."""
    t = say.t
    title = t(f"games.records.{grain.value}")
    first = found[0]
    lines = []
    for item in found:
        if len(found) == 1:
            lines += [f"{mark.rank}. {_mark(item, mark, say)}" for mark in item.marks]
        elif item.marks:
            lines.append(f"{say.title(item.metric)}: {_mark(item, item.marks[0], say)}")
    if len(found) == 1:
        title = f"{say.title(first.metric)} · {title}"
    notes = [
        f"-# {t('games.left_out_because', count=count)} {t(f'games.excluded.{spelled(why)}')}"
        for why, count in first.left_out.items()
    ]
    minimum = next((item.minimum for item in found if item.minimum is not None), None)
    if minimum is not None:
        least = t("games.record_least", minutes=minimum.seconds // 60, shots=minimum.shots, kills=minimum.kills)
        notes.insert(0, f"-# {least}")
    if not lines:
        lines = [why_told(next(item.why_empty for item in found if item.why_empty is not None), say)]
    blocks = tuple(block for block in (say.scope(first.scope), listed(lines, t, 25), "\n".join(notes[:6])) if block)
    return Told(title, blocks, blocks)


def _mark(item: Records, mark: RecordMark, say: Language) -> str:
    place = "" if mark.map_name is None else f"{escape(mark.map_name)} "
    value = say.metric(item.metric, mark.value)
    return f"**{value}** **{escape(mark.player.name)}** · {place}{when(mark.ended_at, 'd')}"
