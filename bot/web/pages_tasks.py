"""Pages of tasks, the buttons that start them, and the API's own description."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from bot.jobs.job import JobError
from bot.web.api_admin import WAYS, TaskId, begin, end_task, find_task
from bot.web.auth import Admin, Games
from bot.web.pages import page
from bot.web.problems import ProblemError
from bot.web.state import State

router = APIRouter(include_in_schema=False)

ROWS = 40

WORDS = {way.kind: way.title for way in WAYS}
"""What a kind of task does, for people."""


@router.get("/tasks")
async def tasks(
    request: Request, state: State, _: Admin, cursor: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """List the tasks, and offer to start one."""
    try:
        found = await state.app.jobs.list(limit=ROWS, after=cursor)
    except JobError as error:
        raise ProblemError(400, str(error)) from error
    names = [destination.name for destination in state.places.destinations]
    return page(
        request,
        "tasks.html",
        title="Tasks",
        jobs=found.jobs,
        next_cursor=found.next,
        words=WORDS,
        ways=WAYS,
        destinations=names,
        servers=list(state.app.pollers),
    )


@router.get("/tasks/{task_id}")
async def task(request: Request, state: State, _: Admin, task_id: TaskId) -> Response:
    """Show one task, as it goes on."""
    job = await find_task(state, task_id)
    return page(request, "task.html", title=WORDS.get(job.kind, job.kind), job=job, words=WORDS)


@router.post("/tasks")
async def start(
    state: State,
    identity: Admin,
    kind: Annotated[str, Form(max_length=60)],
    server: Annotated[str, Form(max_length=64)] = "",
    destination: Annotated[str, Form(max_length=64)] = "",
    name: Annotated[str, Form(max_length=255)] = "",
) -> Response:
    """Start a task and show it."""
    if kind not in WORDS:
        raise ProblemError(422, "there is no such task")
    arguments: dict[str, Any] = {}
    if server:
        arguments["server"] = server
    if destination:
        arguments["destination"] = destination
    if name:
        arguments["names"] = [name]
    job = await begin(state, kind, arguments, identity.actor)
    return RedirectResponse(f"/tasks/{job.id}", 303)


@router.post("/tasks/{task_id}/cancel")
async def cancel(state: State, identity: Admin, task_id: TaskId) -> Response:
    """Ask for the end of a task."""
    await end_task(state, task_id, identity.actor)
    return RedirectResponse(f"/tasks/{task_id}", 303)


@router.get("/api/docs")
async def docs(request: Request, _: Games) -> Response:
    """Show the API for people."""
    return page(request, "api_docs.html", title="API", document=request.app.openapi())


@router.get("/api/openapi.json")
async def document(request: Request, _: Games) -> Response:
    """Answer with the API's OpenAPI document."""
    return JSONResponse(request.app.openapi())
