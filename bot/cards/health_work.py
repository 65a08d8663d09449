"""Work that somebody asked for, what came of it, and what people were told of: as texts for a phone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bot.cards.health import SIGNS as COLOURS
from bot.cards.health import reason_word, slug
from bot.cards.health_commands import Mention, command_told
from bot.cogs.panel import Tone
from bot.cogs.text import code, escape, lines, when
from bot.health.colour import Colour
from bot.health.incidents import Incident, Mute
from bot.jobs.job import Job, JobState
from bot.locales import Texts
from bot.mirror.reconcile import SCHEDULE
from bot.mirror.runs import Run, RunEnd

SIGNS: Final = {
    JobState.QUEUED: "⏳",
    JobState.RUNNING: "▶️",
    JobState.DONE: "✅",
    JobState.FAILED: "🔴",
    JobState.CANCELLED: "⏹️",
    JobState.INTERRUPTED: "⏸️",
}

MOST_REASON: Final = 400
"""Characters of an error that are shown."""

Record = Mapping[str, Any]


def actor_told(actor: str, t: Texts) -> str:
    """Return who did something: a person in Discord as a mention that calls nobody."""
    face, _, who = actor.partition(":")
    if face == "discord" and who.isascii() and who.isdigit():
        return f"<@{who}>"
    return t("health.by_itself") if actor == SCHEDULE else escape(actor, 60)


def job_title(kind: str, arguments: Record, t: Texts) -> str:
    """Return what a job does, and where."""
    key = f"health.job.{slug(kind)}"
    title = t(key) if key in t else escape(kind, 40)
    where = arguments.get("destination") or arguments.get("server")
    return f"{title}: {escape(str(where))}" if where else title


def size_told(count: int | None, t: Texts) -> str:
    """Return a number of bytes in the unit that suits it."""
    if count is None:
        return t.number(None)
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{t.number(value, 0 if units[0] == 'B' else 1)} {units[0]}"


# ---------------------------------------------------------------------- what came of a job


def is_good(job: Job) -> bool:
    """Tell whether a job came to a good end: it is done, and no place of it failed or needs a look."""
    return job.state is JobState.DONE and not any(_trouble(record) for record in records_of(job))


def tone_of_job(job: Job) -> Tone:
    """Return the edge of a job's message."""
    if job.active:
        return Tone.PLAIN
    if job.state is JobState.DONE:
        return Tone.GOOD if is_good(job) else Tone.CARE
    return Tone.BAD if job.state is JobState.FAILED else Tone.CARE


def records_of(job: Job) -> list[Record]:
    """Return what came of a job, one record for each place."""
    result = job.result if isinstance(job.result, Mapping) else {}
    return [*result.get("servers", ()), *result.get("destinations", ())]


def _trouble(record: Record) -> bool:
    named = ("error", "failed", "problems", "differs", "suspicious", "doubt", "busy", "server_error")
    lost = isinstance(record.get("missing"), list) and record["missing"]
    return bool(any(record.get(name) for name in named) or lost or record.get("match") is False)


def outcome_lines(job: Job, t: Texts, *, reasons: bool) -> list[str]:
    """Return what came of a job, a line for each place.

    Args:
        job: that has ended.
        t: the language.
        reasons: whether errors are told, which may name hosts and folders.
    """
    found = []
    if job.state is not JobState.DONE:
        found.append(f"{SIGNS[job.state]} {t(f'health.ended.{job.state.value}')}")
        if job.error and reasons:
            found.append(f"> {lines(job.error.replace(chr(10), ' '), MOST_REASON)}")
    for record in records_of(job):
        name = escape(str(record.get("server") or record.get("destination") or "?"))
        found.append(f"**{name}**: {_said(job.kind, record, t)}")
        for key in ("error", "doubt", "server_error", "suspicious", "busy"):
            if record.get(key) and reasons:
                found.append(f"> {lines(str(record[key]).replace(chr(10), ' '), MOST_REASON)}")
    return found or [t("job.done")]


def _said(kind: str, record: Record, t: Texts) -> str:
    if record.get("error") and "ended" not in record:
        return t("health.did_not_work")
    told = _TOLD.get(kind)
    return t("job.done") if told is None else told(record, t)


def _counts(t: Texts, *pairs: tuple[str, Any]) -> str:
    """Return numbers with their words; a list counts its items, and 0 is left out behind the first."""
    shown = []
    for position, (key, value) in enumerate(pairs):
        number = len(value) if isinstance(value, Sequence) and not isinstance(value, str) else int(value or 0)
        if number or not position:
            shown.append(t(f"health.count.{key}", count=number))
    return " · ".join(shown)


def _polled(record: Record, t: Texts) -> str:
    outcomes = record.get("outcomes") or {}
    return _counts(
        t,
        ("listed", record.get("listed")),
        ("fetched", record.get("fetched")),
        ("imported", outcomes.get("imported", 0)),
        ("growing", record.get("growing")),
        ("not_imported", record.get("problems")),
        ("parked", record.get("parked")),
    )


def _copied(record: Record, t: Texts) -> str:
    if record.get("ended") not in (None, "done"):
        return t(f"health.cycle.{record['ended']}")
    numbers = _counts(
        t,
        ("uploaded", record.get("uploaded")),
        ("downloaded", record.get("downloaded")),
        ("skipped", record.get("skipped_upload")),
        ("pending", record.get("pending")),
        ("missing", record.get("missing")),
        ("differs", record.get("differs")),
        ("failed", record.get("failed")),
    )
    idle = not any(record.get(name) for name in ("uploaded", "downloaded", "pending", "missing", "differs", "failed"))
    return f"{t('health.all_in_sync')} · {numbers}" if idle else numbers


def _reconciled(record: Record, t: Texts) -> str:
    if record.get("ended") != RunEnd.DONE.value:
        return t("health.run.failed" if record.get("ended") == RunEnd.FAILED.value else "health.run.doubtful")
    tracked, real = record["tracked"], record["real"]
    verdict = t("health.match" if record.get("match") else "health.mismatch")
    put_right = "health.count.put_right" if record.get("id") else "health.count.would_put_right"
    return t(
        "health.reconciled",
        tracked=tracked.get("objects") or 0,
        tracked_size=size_told(tracked.get("bytes"), t),
        real=real.get("objects") or 0,
        real_size=size_told(real.get("bytes"), t),
        verdict=verdict,
        put_right=t(put_right, count=int(record.get("repaired") or 0)),
    )


def _verified(record: Record, t: Texts) -> str:
    of = t("health.read_back", read=int(record.get("read") or 0), wanted=int(record.get("wanted") or 0))
    wrong = [
        t(f"health.count.{name}", count=len(record[name])) for name in ("differs", "missing", "failed") if record[name]
    ]
    return " · ".join([of, size_told(record.get("bytes"), t), *wrong])


def _restored(record: Record, t: Texts) -> str:
    return _counts(
        t,
        ("archive_misses", record.get("missing")),
        ("from_server", record.get("from_server")),
        ("from_database", record.get("from_database")),
        ("not_restored", record.get("problems")),
    )


def _retried(record: Record, t: Texts) -> str:
    if "tried_again" in record:
        return t("health.count.tried_again", count=int(record["tried_again"]))
    return _counts(
        t,
        ("imported", record.get("imported")),
        ("failed_again", record.get("failed")),
        ("waiting", record.get("waiting")),
    )


_TOLD: Final[dict[str, Callable[[Record, Texts], str]]] = {
    "poll": _polled,
    "mirror.cycle": _copied,
    "mirror.backfill": _copied,
    "mirror.reconcile": _reconciled,
    "mirror.verify": _verified,
    "restore_missing": _restored,
    "retry": _retried,
}


# ---------------------------------------------------------------------- jobs, runs, alerts


def job_line(job: Job, t: Texts) -> str:
    """Return a job in one line."""
    title = job_title(job.kind, job.arguments, t)
    state = t(f"health.job_state.{job.state.value}")
    progress = ""
    if job.active and (job.done or job.total):
        progress = f" {t.number(job.done)}" + (f"/{t.number(job.total)}" if job.total else "")
    who = actor_told(job.actor, t)
    return (
        f"{SIGNS[job.state]} **{title}** · {state}{progress}\n-# {when(job.created_at, 'R')} · {who} · `{job.id[:8]}`"
    )


def job_lines(job: Job, t: Texts, *, reasons: bool) -> list[str]:
    """Return all that is known of a job."""
    rows = [job_line(job, t)]
    times = (("health.began", job.started_at), ("health.ended_at", job.ended_at))
    rows += [t(key, when=when(at, "f")) for key, at in times if at is not None]
    if job.cancel_actor is not None:
        rows.append(t("health.cancelled_by", who=actor_told(job.cancel_actor, t)))
    if job.resumed_as is not None:
        rows.append(t("health.goes_on_as", job=f"`{job.resumed_as[:8]}`"))
    return rows if job.active else rows + outcome_lines(job, t, reasons=reasons)


def run_line(run: Run, t: Texts) -> str:
    """Return a comparison of ledger and listing: before and after, and what was put right."""
    head = f"**#{run.id} {escape(run.destination)}** · {when(run.started_at, 'R')} · {actor_told(run.actor, t)}"
    if run.ended is not RunEnd.DONE:
        return f"🔴 {head}\n-# {t(f'health.run.{run.ended.value}')}"
    sign = "🟢" if run.match else "🟡"
    causes = ", ".join(f"{t.number(count)} {cause_word(cause, t)}" for cause, count in run.causes.items())
    change = t("health.before_after", before=run.before.get("tracked", 0), after=run.listed_objects or 0)
    put_right = t("health.count.put_right", count=run.repaired)
    return f"{sign} {head}\n-# {change} · {put_right} · {causes or t('health.no_differences')}"


def run_blocks(run: Run, t: Texts, *, reasons: bool) -> list[str]:
    """Return all that a comparison counted, each state before and after."""
    rows = [run_line(run, t)]
    if run.ended is not RunEnd.DONE:
        said = run.error or run.doubt
        return [*rows, f"> {lines(said, MOST_REASON)}"] if said and reasons else rows
    states = [name for name in dict.fromkeys((*run.before, *run.after)) if not name.endswith("_bytes")]
    for name in states:
        before, after = run.before.get(name), run.after.get(name)
        if before or after:
            key = f"health.file.{name}"
            word = t(key) if key in t else escape(name)
            rows.append(f"{word}: {t.number(before)} → {t.number(after)}")
    tracked, real = run.before.get("tracked_bytes"), run.listed_bytes
    rows.append(t("health.sizes", tracked=size_told(tracked, t), real=size_told(real, t)))
    return rows


def cause_word(cause: str, t: Texts) -> str:
    """Return the name of a cause."""
    key = f"health.kind.{slug(cause)}"
    return t(key) if key in t else escape(cause)


def incident_block(item: Incident, t: Texts, mention: Mention) -> str:
    """Return an incident: what, since when, and what to do while it is open."""
    place, _, code_word = item.key.rpartition(":")
    sign = COLOURS.get(Colour(item.colour), "❔") if item.closed_at is None else "✅"
    rows = [f"{sign} **{escape(place.replace(':', ' '), 80)}**: {reason_word(code_word, t)}"]
    if item.closed_at is None:
        rows.append("-# " + t("health.open_since", when=when(item.began_at, "R")))
        rows.append(f"> {lines(item.text.replace(chr(10), ' '), 300)}")
        if item.command:
            rows.append(f"{t('health.do')}: {command_told(item.command, mention)}")
    else:
        rows.append("-# " + t("health.was_open", since=when(item.began_at, "f"), until=when(item.ended_at or 0, "f")))
    rows.append(f"-# `{escape_key(item.key)}`")
    return "\n".join(rows)


def mute_line(item: Mute, t: Texts) -> str:
    """Return a mute."""
    until = t("health.until_lifted") if item.until_at is None else t("health.until", when=when(item.until_at, "R"))
    return f"🔕 `{escape_key(item.pattern)}` · {until} · {actor_told(item.actor, t)}"


def escape_key(key: str) -> str:
    """Return an incident's key for a code span."""
    return code(key, 120)
