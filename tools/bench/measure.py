"""Contenders measured in turn, and what their numbers say.

A machine that others use as well drifts from minute to minute. So the contenders of a comparison run one after the
other, again and again, and what counts is the ratio inside each round of runs, not the time.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

Sample = Mapping[str, float]
"""What one run measured, by metric: mostly `seconds` by the wall, `cpu` seconds, and `memory` in MiB at the peak."""

Measure = Callable[[], Awaitable[Sample]]


class MeasureError(Exception):
    """A run failed; the message says why."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: as shown.
        measure: does it once; raises `MeasureError` where it cannot.
        absent: why it is not measured here, or None.
    """

    name: str
    measure: Measure | None
    absent: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A promise about our number.

    Attributes:
        text: as shown.
        metric: which number.
        most: what it may be at most. With `against`, what our number divided by theirs may be at most.
        against: names of contenders; of several the best counts.
        least: instead of `most`: what their number divided by ours has to be at least.
        when: whether it can be judged here at all. A promise in seconds is about one number of files.
        contender: whose number it is; ours, the first one, where not given.
    """

    text: str
    metric: str = "seconds"
    most: float | None = None
    against: tuple[str, ...] = ()
    least: float | None = None
    when: bool = True
    contender: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of a comparison: the key in its samples, how it is called, its unit and how many decimals."""

    key: str
    title: str
    unit: str
    digits: int = 2


SECONDS = Metric("seconds", "time", "s", 3)
CPU = Metric("cpu", "CPU", "s", 3)
MEMORY = Metric("memory", "peak memory", "MiB", 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of what is measured.

    Attributes:
        key: short name, for the history.
        title: what is done.
        contenders: ours first.
        metrics: the first one is compared; the others are shown.
        targets: what was promised.
        note: what to know about the numbers, such as a limit that cannot be measured here.
        runs: no more runs than this, whatever is asked for.
    """

    key: str
    title: str
    contenders: Sequence[Contender]
    metrics: Sequence[Metric] = (SECONDS, CPU, MEMORY)
    targets: Sequence[Target] = ()
    note: str = ""
    runs: int | None = None


@dataclass(slots=True)
class Result:
    """What the runs of one contender gave, in order; None where a run of his failed or was not made."""

    contender: str
    samples: list[Sample | None] = field(default_factory=list)
    skipped: str | None = None

    def values(self, metric: str) -> list[float]:
        """Return one metric of all the runs that have it."""
        return [sample[metric] for sample in self.samples if sample is not None and metric in sample]

    def median(self, metric: str) -> float | None:
        """Return a metric's median over the runs, or None where none has it."""
        values = self.values(metric)
        return statistics.median(values) if values else None


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the ratios inside each round of runs, with the smallest and the largest."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a target. `value` is what has a limit; `met` is None where it could not be judged."""

    text: str
    value: float | None
    met: bool | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A comparison with everything that was measured."""

    comparison: Comparison
    results: dict[str, Result]
    verdicts: list[Verdict]

    @property
    def ours(self) -> Result:
        """The first contender's result."""
        return self.results[self.comparison.contenders[0].name]


def ratio(of: Result, to: Result, metric: str) -> Ratio | None:
    """Return how often `to`'s number goes into `of`'s, run by run; None where they have no run in common."""
    pairs = [
        (first[metric], second[metric])
        for first, second in zip(of.samples, to.samples, strict=False)
        if first is not None and second is not None and metric in first and second.get(metric)
    ]
    if not pairs:
        return None
    ratios = [first / second for first, second in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def judge(target: Target, ours: Result, results: Mapping[str, Result]) -> Verdict:
    """Hold a target against what was measured."""
    value: float | None
    if target.contender is not None:
        ours = results[target.contender]
    if not target.against:
        value = ours.median(target.metric)
    else:
        known = [(median, name) for name in target.against if (median := results[name].median(target.metric))]
        best = results[min(known)[1]] if known else None
        measured = None
        if best is not None:
            pair = (best, ours) if target.least is not None else (ours, best)
            measured = ratio(*pair, target.metric)
        value = measured.median if measured is not None else None
    if value is None or not target.when:
        return Verdict(target.text, value, None)
    met = (target.most is None or value <= target.most) and (target.least is None or value >= target.least)
    return Verdict(target.text, value, met)


async def compare(
    comparison: Comparison, runs: int, progress: Callable[[str, int, int], None] = lambda _who, _run, _runs: None
) -> Outcome:
    """Measure the contenders of a comparison in turn.

    Args:
        comparison: what is measured.
        runs: how often; a comparison may ask for less.
        progress: told who runs, and the number of the run (from 1) and of all runs.

    Raises:
        MeasureError: ours failed. Another tool that fails is left out from there on, with the reason.
    """
    results = {contender.name: Result(contender.name, skipped=contender.absent) for contender in comparison.contenders}
    ours = comparison.contenders[0].name
    rounds = min(runs, comparison.runs or runs)
    for number in range(1, rounds + 1):
        for contender in comparison.contenders:
            result = results[contender.name]
            if result.skipped is not None or contender.measure is None:
                result.samples.append(None)
                continue
            progress(contender.name, number, rounds)
            try:
                result.samples.append(await contender.measure())
            except MeasureError as error:
                if contender.name == ours:
                    raise
                result.samples.append(None)
                result.skipped = f"failed: {error}"
    verdicts = [judge(target, results[ours], results) for target in comparison.targets]
    return Outcome(comparison, results, verdicts)
