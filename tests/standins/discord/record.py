"""What happened in a world, and whether the test said that it would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.standins.discord.errors import Violation
from tests.standins.discord.model import Json, Upload

__all__ = ["Call", "Fault", "Ping", "Record"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request that the bot made.

    Attributes:
        path: as sent, below `/api/v10` and without the query.
        template: of the route, e.g. `/channels/{channel_id}/messages`; the path itself where no route fits.
        code: Discord's error code, 0 where all was well.
        body: the JSON, None for none.
        files: by the number in `files[n]`.
        errors: what was wrong with the body, nested by path.
        injected: the answer is one that the test asked for.
    """

    method: str
    path: str
    template: str
    query: dict[str, str]
    status: int
    code: int = 0
    body: Json | list[Json] | None = None
    files: dict[int, Upload] = field(default_factory=dict)
    message: str = ""
    errors: Json | None = None
    injected: bool = False

    def __str__(self) -> str:
        said = f" {self.code} {self.message} {self.errors or ''}".rstrip() if self.status >= 400 else ""
        return f"{self.method} {self.template} -> {self.status}{said}"


@dataclass(frozen=True, slots=True)
class Ping:
    """Who a message notifies.

    Attributes:
        users: ids.
        roles: ids.
        everyone: @everyone or @here.
    """

    message_id: int
    channel_id: int
    content: str
    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that fails the test unless it was declared.

    Attributes:
        kind: "unanswered", "thinking", "close 4004", "unknown route", "stand-in" and so on.
        text: for the person who reads the failure.
    """

    kind: str
    text: str


@dataclass(slots=True)
class _Expected:
    status: int | None
    code: int | None
    route: str | None
    times: int
    met: int = 0

    def fits(self, call: Call) -> bool:
        return (
            (self.status is None or self.status == call.status)
            and (self.code is None or self.code == call.code)
            and (self.route is None or self.route in (call.template, f"{call.method} {call.template}"))
        )

    def __str__(self) -> str:
        wanted = {"status": self.status, "code": self.code, "route": self.route}
        return ", ".join(f"{name}={value}" for name, value in wanted.items() if value is not None)


class Record:
    """Keeps calls, pings and faults, and what the test declared of them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.pings: list[Ping] = []
        self.faults: list[Fault] = []
        self._expected: list[_Expected] = []
        self._expected_faults: Counter[str] = Counter()
        self._expected_pings: Counter[int | str] = Counter()

    def expect_error(self, status: int | None, code: int | None, route: str | None, times: int) -> None:
        """Declare answers of 4xx or 5xx."""
        if status is None and code is None:
            raise ValueError("say which status or which code is expected")
        self._expected.append(_Expected(status, code, route, times))

    def expect_fault(self, kind: str, times: int = 1) -> None:
        """Declare a fault."""
        self._expected_faults[kind] += times

    def declares_fault(self, kind: str) -> bool:
        """Say whether a fault of this kind was declared."""
        return self._expected_faults[kind] > 0

    def expect_ping(self, targets: Iterable[int | str]) -> None:
        """Declare that each of these ids, or "everyone", is pinged once."""
        self._expected_pings.update(targets)

    def verify(self) -> None:
        """Raise Violation over everything that was not declared, and over what was declared and did not happen."""
        __tracebackhide__ = True
        problems = [*self._undeclared_errors(), *self._undeclared_faults(), *self._undeclared_pings()]
        if problems:
            raise Violation("the bot did what Discord would not let pass:\n" + "\n".join(f"- {p}" for p in problems))

    def _undeclared_errors(self) -> Iterable[str]:
        for expected in self._expected:
            expected.met = 0
        for call in self.calls:
            if call.status < 400 or call.injected:
                continue
            fitting = [e for e in self._expected if e.met < e.times and e.fits(call)]
            if fitting:
                fitting[0].met += 1
            else:
                yield f"undeclared: {call}"
        for expected in self._expected:
            if expected.met < expected.times:
                yield f"declared but came {expected.met} of {expected.times} times: {expected}"

    def _undeclared_faults(self) -> Iterable[str]:
        left = self._expected_faults.copy()
        for fault in self.faults:
            if left[fault.kind] > 0:
                left[fault.kind] -= 1
            else:
                yield f"{fault.kind}: {fault.text}"
        yield from (f"declared but did not happen: {kind}" for kind, times in left.items() if times > 0)

    def _undeclared_pings(self) -> Iterable[str]:
        left = self._expected_pings.copy()
        for ping in self.pings:
            targets: list[int | str] = [*ping.users, *ping.roles, *(["everyone"] if ping.everyone else [])]
            for target in targets:
                if left[target] > 0:
                    left[target] -= 1
                else:
                    yield f"ping of {target} in channel {ping.channel_id}: {ping.content!r}"
        yield from (f"declared but was not pinged: {target}" for target, times in left.items() if times > 0)
