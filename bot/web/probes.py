"""For machines that watch: is it alive, is it ready, and its numbers."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from starlette.responses import JSONResponse, PlainTextResponse, Response

from bot.addresses import is_local
from bot.community.tokens import same
from bot.db import migrate
from bot.db.engine import DatabaseError
from bot.db.schema import jobs
from bot.health.metrics import Metric, metrics_of
from bot.web.gate import CHALLENGE
from bot.web.places import overview
from bot.web.problems import ProblemError
from bot.web.state import State, WebState

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def alive() -> Response:
    """Answer that this process runs."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def ready(state: State) -> Response:
    """Answer whether questions can be answered: the database is there, and at this version's schema."""
    try:
        revision = await migrate.schema_revision(state.database)
    except DatabaseError:
        return JSONResponse({"ready": False, "why": "the database cannot be used; the log says more"}, 503)
    if revision != migrate.SCHEMA_REVISION:
        return JSONResponse({"ready": False, "why": "the database is at another version's schema"}, 503)
    return JSONResponse({"ready": True})


@router.get("/metrics")
async def metrics(request: Request, state: State) -> Response:
    """Answer with the numbers for Prometheus: to this machine, or to who shows the token."""
    _require_watcher(request, state)
    async with state.database.read() as connection:
        waiting = select(jobs.c.kind, func.count()).where(jobs.c.state == "queued").group_by(jobs.c.kind)
        depth = dict.fromkeys(state.app.actions.kinds, 0)
        depth.update({kind: int(count) for kind, count in await connection.execute(waiting)})
    registry = CollectorRegistry()
    registry.register(_Numbers(metrics_of(await overview(state), state.app.counters, depth)))
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")


def _require_watcher(request: Request, state: WebState) -> None:
    """Refuse whoever is neither on this machine nor has the token.

    Behind a proxy everybody seems to be on this machine, so that only the token counts there.
    """
    token = state.settings.metrics_token()
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if token is not None and scheme.lower() == "bearer" and same(shown.strip(), token):
        return
    here = request.client is not None and is_local(request.client.host) and not state.settings.behind_proxy
    if not here:
        raise ProblemError(401, "send the token of metrics_token_env, or ask from this machine", headers=CHALLENGE)


class _Numbers(Collector):
    """Gives the numbers their wire format."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = tuple(found)

    def collect(self) -> Iterable[Family]:
        """Yield every family."""
        for metric in self._found:
            names = list(metric.samples[0].labels) if metric.samples else []
            family: CounterMetricFamily | GaugeMetricFamily
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=names)
            for sample in metric.samples:
                family.add_metric([sample.labels[name] for name in names], sample.value)
            yield family
