"""Where every file is, for a phone: each place as a few short lines, its sign and word first."""

from __future__ import annotations

from typing import Final

from bot.cards.health_commands import Mention, command_told
from bot.cogs.panel import Tone
from bot.cogs.text import escape, lines, shorten, when
from bot.health.census import Basis
from bot.health.colour import Colour, Reason, Verdict
from bot.health.overview import DestinationView, Overview, SourceView
from bot.locales import Texts
from bot.mirror.progress import Eta

SIGNS: Final = {
    Colour.GREEN: "🟢",
    Colour.YELLOW: "🟡",
    Colour.RED: "🔴",
    Colour.GREY: "⚪",
    Colour.UNKNOWN: "❔",
}
"""A sign for each colour. The word beside it says the same, for those who see no colours."""

TONES: Final = {Colour.GREEN: Tone.GOOD, Colour.YELLOW: Tone.CARE, Colour.RED: Tone.BAD}

MOST_TEXT: Final = 3400
"""Characters that all places take together; the rest of a message is its heading and its foot."""

MOST_ERROR: Final = 200
"""Characters of an error that are shown on the screen of all places."""


def tone_of(colour: Colour) -> Tone:
    """Return the edge for a colour."""
    return TONES.get(colour, Tone.PLAIN)


def status_title(overview: Overview, t: Texts) -> str:
    """Return the heading: everything in one sign and one word."""
    if overview.needing:
        word = t("health.attention", count=overview.needing, places=len(overview.verdicts))
    elif not overview.verdicts:
        word = t("health.nothing_set_up")
    else:
        word = t(f"health.all.{overview.colour.value}")
    return f"{SIGNS[overview.colour]} {t('health.title')}: {word}"


def status_blocks(overview: Overview, t: Texts, mention: Mention, *, reasons: bool) -> list[str]:
    """Return the texts of the screen: when, then each game server and each destination.

    Args:
        overview: what may be seen.
        t: the language.
        mention: of slash commands.
        reasons: whether errors are told, which may name hosts and folders.
    """
    listed = overview.listed_at
    foot = t("health.as_of", when=when(overview.taken_at, "T"))
    if listed is not None:
        foot += " · " + t("health.listing_of", when=when(listed, "R"))
    blocks = [foot]
    blocks += [source_block(view, t, mention, reasons=reasons) for view in overview.sources]
    blocks += [destination_block(view, t, mention, reasons=reasons) for view in overview.destinations]
    names = [view.name for view in overview.sources] + [view.name for view in overview.destinations]
    return _within(blocks, [f"**{escape(name)}**" for name in names], t)


def _within(blocks: list[str], names: list[str], t: Texts) -> list[str]:
    """Return what fits into one message, and name what does not: nothing goes missing without a word."""
    kept, used = [blocks[0]], len(blocks[0])
    for position, block in enumerate(blocks[1:]):
        if used + len(block) > MOST_TEXT:
            kept.append(shorten(t("health.more_places", names=", ".join(names[position:])), 400))
            break
        used += len(block)
        kept.append(block)
    return kept


# ---------------------------------------------------------------------- a game server


def source_block(view: SourceView, t: Texts, mention: Mention, *, reasons: bool) -> str:
    """Return a game server's lines."""
    rows = [_head(view.name, t("health.source"), view.verdict, t)]
    if view.last_ok_at is not None:
        reached = t("health.reached", when=when(view.last_ok_at, "R"))
        if view.newest is not None:
            newest = {"map": escape(view.newest.map_name), "number": view.newest.number}
            reached += " · " + t("health.newest", when=when(view.newest.ended_at, "R"), **newest)
        rows.append(reached)
    basis = t("health.by_ledger") if view.listed_basis is Basis.LEDGER else ""
    rows.append(t("health.listed", listed=t.number(view.listed), basis=basis, imported=view.imported, known=view.known))
    if view.not_imported:
        parts = [f"{t.number(count)} {t(f'health.file.{state}')}" for state, count in view.not_imported.items()]
        rows.append(t("health.not_imported", parts=" · ".join(parts)))
    return "\n".join(rows + reason_lines(view.verdict, t, mention, reasons=reasons))


# ---------------------------------------------------------------------- a destination


def destination_block(view: DestinationView, t: Texts, mention: Mention, *, reasons: bool) -> str:
    """Return a destination's lines: what is there, what is not, and when the rest will be."""
    rows = [_head(view.name, escape(view.kind), view.verdict, t)]
    verified = view.state("verified")
    share = None if not view.stored else int(100 * verified / view.stored)
    rows.append(
        t("health.stored", stored=view.stored, expected=view.expected, verified=verified, percent=t.percent(share))
        + (f" · **{t('health.stale')}**" if view.stale else "")
    )
    numbers = (
        ("pending", t.number(view.pending)),
        ("missing", t.number(view.state("missing"))),
        ("differs", t.number(view.state("differs"))),
        ("extra", t.number(view.extra)),
        ("failed", t.number(view.state("failed"))),
    )
    rows.append(" · ".join(f"{t(f'health.file.{name}')} {count}" for name, count in numbers))
    if view.unexplained:
        rows.append(t("health.unexplained", count=view.unexplained))
    if view.pending and view.eta is not None:
        rows.append(f"{share_bar(view.stored, view.expected)} {t('health.eta', span=span(view.eta, t))}")
    rows.append("-# " + _when_of(view, t))
    return "\n".join(rows + reason_lines(view.verdict, t, mention, reasons=reasons))


def _when_of(view: DestinationView, t: Texts) -> str:
    never = t("health.never")
    times = (
        ("health.last_ok", view.last_ok_at),
        ("health.last_listing", view.last_listing_at),
        ("health.last_check", view.last_check_at),
    )
    return " · ".join(t(key, when=never if at is None else when(at, "R")) for key, at in times)


def share_bar(done: int, total: int, width: int = 6) -> str:
    """Return a bar that is never full before the end."""
    full = int(width * done / total) if total else 0
    return "▓" * full + "░" * (width - full)


def span(eta: Eta, t: Texts) -> str:
    """Return a range of durations, as `50 min - 1 h 20 min`."""
    low, high = (duration(seconds, t) for seconds in (eta.earliest, eta.latest))
    return low if low == high else f"{low} \N{EN DASH} {high}"


def duration(seconds: float, t: Texts) -> str:
    """Return a duration in two units at most, a minute at least."""
    minutes = max(1, round(seconds / 60))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    shown = [f"{t.number(count)} {t(f'health.unit.{unit}')}" for count, unit in parts if count]
    return " ".join(shown[:2])


# ---------------------------------------------------------------------- colours and reasons


def _head(name: str, kind: str, verdict: Verdict, t: Texts) -> str:
    word = t(f"health.colour.{verdict.colour.value}")
    return f"{SIGNS[verdict.colour]} **{escape(name)}** ({kind}): {word}"


def reason_lines(verdict: Verdict, t: Texts, mention: Mention, *, reasons: bool) -> list[str]:
    """Return why a place has its colour; what errors say of themselves, and what to do, only where that may be told."""
    return [_reason(reason, t, mention, told=reasons) for reason in verdict.reasons]


def _reason(reason: Reason, t: Texts, mention: Mention, *, told: bool) -> str:
    text = reason_word(reason.code, t)
    if reason.since is not None:
        text += " " + t("health.since", when=when(reason.since, "R"))
    if not told:
        return f"> {text}"
    error = reason.text.partition(": ")[2] if reason.code in ("auth", "unreachable", "suspicious") else ""
    if error:
        text += f": {lines(error, MOST_ERROR)}"
    if reason.command is not None and reason.needs_you:
        text += f" → {command_told(reason.command, mention)}"
    return "> " + text.replace("\n", " ")


def reason_word(code: str, t: Texts) -> str:
    """Return what a reason's code means; a code that is new shows as it is."""
    key = f"health.reason.{code}"
    return t(key) if key in t else escape(code.replace("_", " "))


def slug(word: str) -> str:
    """Return a service's word, such as a kind of job, as the last part of a text's key."""
    return word.replace(".", "_").replace(" ", "_").replace("2", "two")
