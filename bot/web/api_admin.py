"""The API's ways to start things: each takes a task on, answers with its id, and can be asked how far it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel
from starlette.responses import Response

from bot.jobs.arguments import (
    DrillArguments,
    InspectArguments,
    OfDestination,
    OfServer,
    ReconcileArguments,
    RestoreMissingArguments,
    RetryArguments,
    VerifyArguments,
)
from bot.jobs.job import Job, JobError, JobState, JobUnknownError
from bot.web.auth import Admin
from bot.web.listings import MOST_ROWS
from bot.web.live import until_closing
from bot.web.problems import ProblemError, responses
from bot.web.schemas import json_answer
from bot.web.state import State, WebState
from bot.web.status_models import AcceptedShape, TaskShape

router = APIRouter(prefix="/api", tags=["admin"], responses=responses(401, 403))


class Started(NamedTuple):
    """A way to start something: its path, the kind of task, what it takes, and what it does."""

    path: str
    kind: str
    takes: type[BaseModel]
    title: str


WAYS = (
    Started("sync-storage-stats", "mirror.reconcile", ReconcileArguments, "Compare ledger and listing"),
    Started("inspect", "mirror.inspect", InspectArguments, "Count live what lies in destinations"),
    Started("poll", "poll", OfServer, "Look at game servers now"),
    Started("sync", "mirror.cycle", OfDestination, "Compare destinations with what is here, and copy both ways"),
    Started("backfill", "mirror.backfill", OfDestination, "Bring destinations up to date"),
    Started("verify", "mirror.verify", VerifyArguments, "Read copies back and compare their hashes"),
    Started("restore", "restore_missing", RestoreMissingArguments, "Fetch again what the archive misses"),
    Started("retry", "retry", RetryArguments, "Try failed files again"),
    Started("snapshot", "snapshot", OfDestination, "Take a snapshot of the database to every destination"),
    Started("drill", "drill", DrillArguments, "Prove that the way back works"),
)

TaskId = Annotated[str, Path(max_length=64, pattern="^[0-9a-fA-F-]+$", description="as it was answered")]


class TasksPage(BaseModel):
    """Some tasks, the newest first; `next_cursor` is null where these are the last."""

    items: list[TaskShape]
    next_cursor: str | None


async def begin(state: WebState, kind: str, arguments: dict[str, Any], actor: str) -> Job:
    """Take a task on.

    Raises:
        ProblemError: the arguments are wrong, or there is nothing here to do it with.
    """
    try:
        return await state.app.actions.submit(kind, arguments, actor)
    except JobUnknownError as error:
        raise ProblemError(501, f"this version cannot do that: {error}") from error
    except JobError as error:
        raise ProblemError(422, str(error)) from error


async def find_task(state: WebState, task_id: str) -> Job:
    """Return a task.

    Raises:
        ProblemError: there is none with that id.
    """
    try:
        return await state.app.jobs.get(task_id)
    except JobUnknownError as error:
        raise ProblemError(404, str(error)) from error


async def task_of_path(state: State, task_id: TaskId) -> Job:
    """Return the task of the address, before a stream begins: once it has, no problem can be told any more."""
    return await find_task(state, task_id)


def _add(way: Started) -> None:
    name = way.path.replace("-", "_")

    async def start(request: Request, state: State, identity: Admin, arguments: Any = None) -> Response:
        given = {} if arguments is None else arguments.model_dump(mode="json")
        job = await begin(state, way.kind, given, identity.actor)
        answer = {
            "task_id": job.id,
            "state": job.state.value,
            "status_url": f"/api/admin/{way.path}/status/{job.id}",
            "events_url": f"/api/tasks/{job.id}/events",
            "already": job.already,
        }
        return json_answer(request, answer, status=202)

    async def status(request: Request, state: State, _: Admin, task_id: TaskId) -> Response:
        job = await find_task(state, task_id)
        if job.kind != way.kind:
            raise ProblemError(404, f"the task {task_id} is a {job.kind}; ask /api/tasks/{task_id}")
        return json_answer(request, job.record())

    start.__annotations__["arguments"] = Annotated[
        way.takes | None, Body(description="all of them where it is left out")
    ]
    start.__doc__ = f"{way.title}. Answers at once with a task's id; the same task is never under way twice."
    status.__doc__ = "Answer how far the task is, and what came of it."
    router.add_api_route(
        f"/admin/{way.path}",
        start,
        methods=["POST"],
        status_code=202,
        response_model=AcceptedShape,
        summary=way.title,
        operation_id=f"start_{name}",
        responses=responses(401, 403, 422, 501),
    )
    router.add_api_route(
        f"/admin/{way.path}/status/{{task_id}}",
        status,
        methods=["GET"],
        response_model=TaskShape,
        summary="How far it is",
        operation_id=f"status_of_{name}",
        responses=responses(401, 403, 404),
    )


for _way in WAYS:
    _add(_way)


@router.get("/tasks", response_model=TasksPage, summary="Tasks, the newest first")
async def tasks(
    request: Request,
    state: State,
    _: Admin,
    kind: Annotated[str | None, Query(max_length=60)] = None,
    task_state: Annotated[JobState | None, Query(alias="state")] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
) -> Response:
    """List tasks of every kind page by page."""
    try:
        page = await state.app.jobs.list(
            kind=kind, states=() if task_state is None else (task_state,), limit=limit, after=cursor
        )
    except JobError as error:
        raise ProblemError(400, str(error)) from error
    return json_answer(request, {"items": [job.record() for job in page.jobs], "next_cursor": page.next})


@router.get("/tasks/{task_id}", response_model=TaskShape, summary="One task", responses=responses(401, 403, 404))
async def task(request: Request, state: State, _: Admin, task_id: TaskId) -> Response:
    """Answer how far a task is, and what came of it."""
    return json_answer(request, (await find_task(state, task_id)).record())


@router.delete(
    "/tasks/{task_id}", response_model=TaskShape, summary="End a task", responses=responses(401, 403, 404, 409)
)
async def cancel(request: Request, state: State, identity: Admin, task_id: TaskId) -> Response:
    """Ask for the end of a task; what it did so far stays."""
    return json_answer(request, (await end_task(state, task_id, identity.actor)).record())


async def end_task(state: WebState, task_id: str, actor: str) -> Job:
    """Ask for the end of a task.

    Raises:
        ProblemError: there is none, or it has ended.
    """
    await find_task(state, task_id)
    try:
        return await state.app.actions.cancel(task_id, actor)
    except JobError as error:
        raise ProblemError(409, str(error)) from error


@router.get(
    "/tasks/{task_id}/events",
    response_class=EventSourceResponse,
    summary="One task as it goes on",
    responses=responses(401, 403, 404),
)
async def task_events(
    state: State, _: Admin, first: Annotated[Job, Depends(task_of_path)]
) -> AsyncIterator[ServerSentEvent]:
    """Send the task whenever it has changed, as `task` events; the stream ends with the task."""
    async for job in until_closing(state.app.jobs.watch(first.id), state.closing):
        yield ServerSentEvent(data=job.record(), event="task")
