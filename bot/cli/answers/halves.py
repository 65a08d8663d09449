"""How a round ended, and what a reader of its numbers has to know, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.cli.answers.output import minutes, text_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from bot.stats.matches import RoundInfo


def round_text(played: RoundInfo | None, attackers: str | None) -> Text:
    """Return how a round ended; `attackers` is the team that attacked."""
    if played is None:
        return text_of("missing", style="yellow")
    how = {
        "completed": f"{minutes(played.seconds)}",
        "held": f"held {minutes(played.seconds)}",
        "gave_up": f"gave up {minutes(played.seconds)}",
        "aborted": f"broken off {minutes(played.seconds)}",
        "unknown": f"{minutes(played.seconds)}, winner unknown",
    }[played.outcome.value]
    style = "yellow" if played.excluded or played.outcome.value == "aborted" else ""
    reason = f" ({played.excluded.replace('_', ' ')})" if played.excluded else ""
    return text_of((f"{attackers}: " if attackers else "") + how + reason, style=style)


FLAG_TEXTS = {
    "kills_unbalanced": "kills and deaths differ: somebody's numbers were lost",
    "damage_unbalanced": "damage given and received differ: somebody's numbers were lost",
    "team_damage_unbalanced": "team damage given and received differ: somebody's numbers were lost",
    "aborted": "broken off by a map change or restart",
    "early_end": "ended before the limit: the attackers gave up",
    "no_round_1": "round 2 without its round 1: its numbers hold both, and do not count until that arrives",
    "duplicate_guid": "two lines of one GUID",
    "lines_rejected": "lines that could not be read",
    "incomplete_file": "the file was cut off",
    "denied_out_of_range": "denied time is impossible: left out of its rates",
    "header_disagrees": "file name and header name different rounds",
}


def show_flags(console: Console, flags: Any) -> None:
    """Print what the integrity flags of some rounds mean; with counts, or without."""
    if not flags:
        return
    console.print()
    for flag in flags:
        count = f"{flags[flag]} x " if isinstance(flags, dict) else ""
        console.print(text_of(f"Note: {count}{FLAG_TEXTS.get(flag, flag)}", style="yellow"))
