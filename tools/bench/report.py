"""What was measured, as a table for people and as a line of JSON for the next time."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.bench.measure import Metric, Outcome, Result, Verdict, ratio

HISTORY = "history.jsonl"

LIBRARIES = ("asyncssh", "cryptography", "sqlalchemy", "aiosqlite", "asyncpg")

TOOLS = {
    "ssh": ("ssh", "-V"),
    "rclone": ("rclone", "version"),
    "lftp": ("lftp", "--version"),
    "postgres": ("psql", "--version"),
}

_REPOSITORY = Path(__file__).resolve().parents[2]


def amount(value: float | None, metric: Metric) -> str:
    """Return a number with its unit, small times in milli- or microseconds; an empty text for None."""
    if value is None:
        return ""
    if metric.unit == "s" and value < 0.1:
        return f"{value * 1e3:.1f} ms" if value >= 0.001 else f"{value * 1e6:.0f} µs"
    if metric.unit == "s":
        return f"{value:.{1 if value >= 100 else 2}f} s"
    return f"{value:,.{metric.digits}f} {metric.unit}".rstrip()


def _spread(result: Result, metric: Metric) -> str:
    values = result.values(metric.key)
    return f"{amount(min(values), metric)} to {amount(max(values), metric)}" if len(values) > 1 else ""


def _verdict(verdict: Verdict) -> Text:
    value = "" if verdict.value is None else f": {verdict.value:.3g}"
    if verdict.met is None:
        return Text(f"  target {verdict.text}{value} (not judged here)", style="dim")
    word, style = ("met", "green") if verdict.met else ("MISSED", "bold red")
    return Text(f"  target {verdict.text}{value} {word}", style=style)


def table(outcome: Outcome) -> Table:
    """Return one comparison as a table: a line for each contender, ours first, and what became of the targets."""
    comparison = outcome.comparison
    main, *others = comparison.metrics
    shown = Table(title=comparison.title, title_justify="left", title_style="bold", caption_justify="left")
    shown.add_column("")
    shown.add_column(main.title, justify="right")
    shown.add_column("least to most", justify="right", no_wrap=True)
    shown.add_column("times ours", justify="right")
    for metric in others:
        shown.add_column(metric.title, justify="right")
    for name, result in outcome.results.items():
        if result.skipped is not None and not result.values(main.key):
            shown.add_row(name, Text(f"skipped: {result.skipped}", style="yellow"), style="dim")
            continue
        against = ratio(result, outcome.ours, main.key)
        shown.add_row(
            name,
            amount(result.median(main.key), main),
            _spread(result, main),
            f"{against.median:.2f}" if against is not None and result is not outcome.ours else "",
            *(amount(result.median(metric.key), metric) for metric in others),
            style="bold" if result is outcome.ours else "",
        )
    lines = [Text(f"  {comparison.note}", style="dim")] if comparison.note else []
    lines += [_verdict(verdict) for verdict in outcome.verdicts]
    shown.caption = Text("\n").join(lines)
    return shown


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print one comparison."""
    console.print(table(outcome))
    console.print()


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return in one line how many targets were met."""
    verdicts = [verdict for outcome in outcomes for verdict in outcome.verdicts]
    met = sum(1 for verdict in verdicts if verdict.met)
    missed = [f"{outcome.comparison.key}: {v.text}" for outcome in outcomes for v in outcome.verdicts if v.met is False]
    unknown = sum(1 for verdict in verdicts if verdict.met is None)
    text = f"{met} of {len(verdicts)} targets met, {len(missed)} missed, {unknown} not judged"
    return text + "".join(f"\n  missed: {name}" for name in missed)


def busy(load: float) -> str | None:
    """Return a warning where others use the machine so much that times by the wall say little, else None.

    Args:
        load: the load average before anything was measured; what is measured makes a load of its own.
    """
    cores = os.cpu_count() or 1
    if load <= cores / 2:
        return None
    return (
        f"the machine was busy (load {load:.1f} on {cores} cores): ratios and CPU seconds count, "
        "times by the wall are too long"
    )


def record(outcome: Outcome) -> dict[str, Any]:
    """Return one comparison as plain values for JSON, with every single run."""
    main = outcome.comparison.metrics[0].key
    contenders: dict[str, Any] = {}
    for name, result in outcome.results.items():
        against = ratio(result, outcome.ours, main)
        keys = {key for sample in result.samples if sample is not None for key in sample}
        contenders[name] = {
            "skipped": result.skipped,
            "median": {key: result.median(key) for key in sorted(keys)},
            "ratio_to_ours": None if against is None else round(against.median, 4),
            "runs": [None if sample is None else dict(sample) for sample in result.samples],
        }
    return {
        "key": outcome.comparison.key,
        "title": outcome.comparison.title,
        "metric": main,
        "ours": outcome.ours.contender,
        "contenders": contenders,
        "targets": [{"text": v.text, "value": v.value, "met": v.met} for v in outcome.verdicts],
    }


def append_history(
    folder: Path, outcomes: Sequence[Outcome], *, began: datetime, options: dict[str, Any], load_before: float
) -> Path:
    """Append a run to `history.jsonl`, one line each; return that file.

    Args:
        folder: of the history; made where it is missing.
        outcomes: what was measured.
        began: when, with a zone.
        options: of the command line.
        load_before: the machine's load average when it began.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / HISTORY
    line = {
        "date": began.isoformat(timespec="seconds"),
        "machine": machine() | {"load_before": load_before, "load_after": os.getloadavg()[0]},
        "versions": versions(),
        "options": options,
        "rows": [record(outcome) for outcome in outcomes],
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
    return path


def machine() -> dict[str, Any]:
    """Return what this machine is, without its name."""
    cpu = platform.processor() or platform.machine()
    memory = 0
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
        memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    except (OSError, IndexError, ValueError):
        pass
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_mib": memory,
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that takes part; a tool that is not installed is not among them."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for name, command in (*TOOLS.items(), ("commit", ("git", "-C", str(_REPOSITORY), "rev-parse", "--short", "HEAD"))):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        lines = (done.stdout or done.stderr).strip().splitlines()
        if lines:
            found[name] = lines[0]
    return found
