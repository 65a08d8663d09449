"""Rate limits, and what goes wrong on purpose."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.standins.discord.world import World

__all__ = ["DropConnection", "Faults", "RateLimited"]

GLOBAL_LIMIT = 50
"""Requests per second of one bot; callbacks of interactions and webhooks do not count."""


class DropConnection(Exception):  # noqa: N818 - says what happened
    """Cut the connection instead of answering."""


@dataclass(slots=True)
class RateLimited(Exception):  # noqa: N818 - says what happened
    """Answer 429.

    Attributes:
        scope: "user", "global" or "shared".
        injected: asked for by the test, so no failure of the bot.
    """

    scope: str
    retry_after: float
    injected: bool = False


@dataclass(slots=True)
class _Bucket:
    limit: int
    window: float
    left: int
    resets_at: float


class Faults:
    """The rate limits of a world, and its knobs. All of them may be turned at any time, from any thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._limits: dict[str, tuple[int, float]] = {}
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._recent: deque[float] = deque()
        self._next_429: list[tuple[str, float, str | None]] = []
        self._next_5xx: dict[str | None, list[int]] = defaultdict(list)
        self._next_drop: list[str | None] = []
        self._next_lost: list[str | None] = []

    def rate_limit(self, route: str, limit: int, window: float) -> None:
        """Allow `limit` requests per `window` seconds on a route, e.g. `POST /channels/{channel_id}/messages`.

        Other routes allow 50 a second. Discord does not publish its numbers; it is known for 5 messages per 5 seconds
        and channel, and for 2 renames of a channel per 10 minutes.
        """
        self._world.run(lambda: self._limits.update({route: (limit, window)}))

    def next_429(self, scope: str = "user", retry_after: float = 0.05, *, route: str | None = None) -> None:
        """Answer the next request, of `route` if given, with 429."""
        self._world.run(lambda: self._next_429.append((scope, retry_after, route)))

    def next_5xx(self, times: int = 1, *, status: int = 502, route: str | None = None) -> None:
        """Answer the next `times` requests, of `route` if given, with a server error."""
        self._world.run(lambda: self._next_5xx[route].extend([status] * times))

    def drop_connection(self, *, route: str | None = None) -> None:
        """Cut the connection at the next request, of `route` if given, without an answer."""
        self._world.run(lambda: self._next_drop.append(route))

    def lose_answer(self, *, route: str | None = None) -> None:
        """Do what the next request asks for, of `route` if given, and cut the connection instead of saying so."""
        self._world.run(lambda: self._next_lost.append(route))

    # -- for the server

    def loses_answer(self, route: str) -> bool:
        """Tell whether the answer to this request, which was done, is to get lost."""
        for wanted in self._next_lost:
            if wanted in (None, route):
                self._next_lost.remove(wanted)
                return True
        return False

    def inject(self, route: str) -> int | None:
        """Return the status of a server error to answer with, None for none.

        Raises:
            RateLimited, DropConnection: the test asked for it.
        """
        for wanted in self._next_drop:
            if wanted in (None, route):
                self._next_drop.remove(wanted)
                raise DropConnection
        for limited in self._next_429:
            if limited[2] in (None, route):
                self._next_429.remove(limited)
                raise RateLimited(limited[0], limited[1], injected=True)
        for key in (route, None):
            if self._next_5xx.get(key):
                return self._next_5xx[key].pop(0)
        return None

    def count(self, route: str, major: str, *, counts_globally: bool) -> None:
        """Count one request.

        Raises:
            RateLimited: it is one too many.
        """
        now = time.monotonic()
        if counts_globally:
            while self._recent and self._recent[0] <= now - 1.0:
                self._recent.popleft()
            if len(self._recent) >= GLOBAL_LIMIT:
                raise RateLimited("global", self._recent[0] + 1.0 - now)
            self._recent.append(now)
        bucket = self._bucket(route, major)
        if bucket.left <= 0:
            raise RateLimited("user", max(0.001, bucket.resets_at - now), injected=False)
        bucket.left -= 1

    def headers(self, route: str, major: str) -> dict[str, str]:
        """Return the headers that tell about a route's limit."""
        bucket = self._bucket(route, major)
        after = max(0.0, bucket.resets_at - time.monotonic())
        return {
            "X-RateLimit-Limit": str(bucket.limit),
            "X-RateLimit-Remaining": str(bucket.left),
            "X-RateLimit-Reset": f"{time.time() + after:.3f}",
            "X-RateLimit-Reset-After": f"{after:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(route.encode()).hexdigest()[:32],
        }

    def _bucket(self, route: str, major: str) -> _Bucket:
        now = time.monotonic()
        limit, window = self._limits.get(route, (GLOBAL_LIMIT, 1.0))
        bucket = self._buckets.get((route, major))
        if bucket is None or bucket.resets_at <= now or (bucket.limit, bucket.window) != (limit, window):
            bucket = self._buckets[route, major] = _Bucket(limit, window, limit, now + window)
        return bucket
