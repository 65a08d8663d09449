"""Charts as SVG, drawn here: they need no script, and each says in words what it shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from bot.web.text import NOTHING, clean, number

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 24


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: its name, and its points as (unix seconds, value)."""

    name: str
    points: tuple[tuple[int, float], ...]


def meter(part: float | None, whole: float | None, label: str) -> Markup:
    """Return a bar that is filled by a share; `label` says in words what it shows."""
    share = 0.0 if part is None or not whole else max(0.0, min(1.0, part / whole))
    return Markup(
        '<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="meter-all" width="100" height="6" rx="0"/>'
        '<rect class="meter-part" width="{}" height="6" rx="0"/></svg>'
    ).format(clean(label), f"{100 * share:.2f}")


def spark(values: Sequence[float | None], label: str) -> Markup:
    """Return a small line of values in order; `label` says in words what it shows."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(value for _, value in known), max(value for _, value in known)
    wide = max(len(values) - 1, 1)
    flat = high == low
    points = " ".join(
        f"{4 + 192 * place / wide:.1f},{20 if flat else 36 - 32 * (value - low) / (high - low):.1f}"
        for place, value in known
    )
    x, y = points.rsplit(" ", 1)[-1].split(",")
    return Markup(
        '<svg class="spark" viewBox="0 0 200 40" role="img" aria-label="{}">'
        '<polyline points="{}"/><circle cx="{}" cy="{}" r="3"/></svg>'
    ).format(clean(label), points, x, y)


def lines(series: Sequence[Series], label: str, *, since: int, until: int) -> Markup:
    """Return lines over time, stepped: a value holds until the next one was measured.

    Args:
        series: at most eight, each drawn in a colour and a dash of its own.
        label: what the chart shows, in words.
        since: left end, unix seconds.
        until: right end.
    """
    highest = max((value for one in series for _, value in one.points), default=0)
    top = nice(highest)
    parts = [_axes(top, since, until)]
    for place, one in enumerate(series):
        path = _steps(one.points, top, since, until)
        line = Markup('<path class="line line-{}" d="{}"><title>{}</title></path>')
        parts.append(line.format(place, path, clean(one.name)))
        if one.points:
            end = Markup('<circle class="line line-{}" cx="{}" cy="{}" r="4"/>')
            parts.append(end.format(place, f"{_x(until, since, until):.1f}", f"{_y(one.points[-1][1], top):.1f}"))
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, clean(label), Markup("").join(parts)
    )


def as_json(series: Sequence[Series], *, since: int, until: int) -> str:
    """Return the same lines for a script that lets a pointer read them: one list of times, and values at each."""
    times = sorted({since, until, *(max(at, since) for one in series for at, _ in one.points)})
    values: list[list[float | None]] = []
    for one in series:
        held: float | None = None
        changes = {max(at, since): value for at, value in one.points}
        row: list[float | None] = []
        for at in times:
            held = changes.get(at, held)
            row.append(held)
        values.append(row)
    names = [one.name.replace("_", " ") for one in series]
    return json.dumps({"times": times, "names": names, "values": values})


def nice(value: float) -> float:
    """Return the next round number that is not smaller: the top of an axis."""
    top = 1.0
    while top < value:
        for factor in (2.0, 2.5, 2.0):
            top *= factor
            if top >= value:
                break
    return top


def _steps(points: Sequence[tuple[int, float]], top: float, since: int, until: int) -> str:
    path: list[str] = []
    for at, value in points:
        x, y = _x(max(at, since), since, until), _y(value, top)
        path.append(f"M{x:.1f} {y:.1f}" if not path else f"H{x:.1f}V{y:.1f}")
    if path:
        path.append(f"H{_x(until, since, until):.1f}")
    return "".join(path)


def _x(at: float, since: int, until: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (at - since) / max(until - since, 1)


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _axes(top: float, since: int, until: int) -> Markup:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = f"{_y(top * share, top):.1f}"
        label = number(top * share, 0 if top * share == int(top * share) else 1)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDTH - RIGHT, y, y))
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="end" dy="4">{}</text>').format(LEFT - 6, y, label)
        )
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        at = since + share * (until - since)
        x = f"{_x(at, since, until):.1f}"
        day = f"{datetime.fromtimestamp(at, UTC):%d %b}"
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(x, HEIGHT - 6, anchor, day)
        )
    return Markup("").join(parts)


def bars(values: Mapping[str, float], label: str) -> Markup:
    """Return a row of bars, one for each value; what they are stands in the label, for whoever cannot see them."""
    if not values:
        return Markup("")
    highest = max(values.values()) or 1
    wide = 200 / len(values)
    parts = [
        Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
            f"{place * wide + 1:.1f}",
            f"{40 - 38 * value / highest:.1f}",
            f"{max(wide - 2, 0.5):.1f}",
            f"{38 * value / highest:.1f}",
            f"{clean(name)}: {number(value) if value is not None else NOTHING}",
        )
        for place, (name, value) in enumerate(values.items())
    ]
    return Markup('<svg class="bars" viewBox="0 0 200 40" role="img" aria-label="{}">{}</svg>').format(
        clean(label), Markup("").join(parts)
    )
