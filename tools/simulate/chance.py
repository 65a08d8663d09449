"""Draws that Python's `random` does not have."""

from __future__ import annotations

import math
import random


def poisson(rng: random.Random, mean: float) -> int:
    """A count whose mean is `mean`."""
    if mean > 25.0:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    draw = rng.random
    floor = math.exp(-mean)
    count, product = 0, draw()
    while product > floor:
        count += 1
        product *= draw()
    return count
