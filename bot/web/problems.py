"""What went wrong, as problem+json (RFC 9457) for programs and as a page for people."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from bot.db.engine import DatabaseError
from bot.stats.errors import AmbiguousError, NotFoundError, QuestionError
from bot.stats.plain import plain

MEDIA_TYPE = "application/problem+json"

TITLES = {
    300: "Several things fit",
    400: "The request cannot be understood",
    401: "Log in first",
    403: "Not allowed",
    404: "Not found",
    405: "Not that way",
    409: "Several things fit",
    413: "Too large",
    422: "The request is wrong",
    429: "Too many requests",
    500: "Something broke here",
    501: "Not installed",
    503: "Not available just now",
}


class Problem(BaseModel):
    """What went wrong: `title` for the kind, `detail` for this case, and what to do where there is something."""

    title: Annotated[str, Field(examples=["Not found"])]
    status: Annotated[int, Field(examples=[404])]
    detail: Annotated[str, Field(examples=["there is no session 4711"])]
    choices: Annotated[list[Any] | None, Field(description="what there is to choose from")] = None
    errors: Annotated[list[Any] | None, Field(description="the parts of the request that are wrong")] = None


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more


def problem_response(status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return a problem for a program."""
    body = {"title": TITLES.get(status, "It did not work"), "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of the problems that a route may answer with."""
    return {
        status: {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": {"$ref": REFERENCE}}}}
        for status in sorted({*statuses, 400, 429, 503})
    }


REFERENCE = "#/components/schemas/Problem"


def wants_page(request: Request) -> bool:
    """Tell whether a person's browser asks for a page, rather than a program for data."""
    path = request.url.path
    return not path.startswith(("/api/", "/metrics", "/healthz", "/readyz", "/static/"))


async def answer_problem(request: Request, error: Exception) -> Response:
    """Turn any expected error of a request into its answer."""
    status, detail, headers, more = _described(error)
    if not wants_page(request):
        return problem_response(status, detail, headers=headers, **more)
    if status == 401 and request.method in ("GET", "HEAD"):
        from bot.web.auth import login_path

        return RedirectResponse(login_path(request), 303)
    from bot.web.pages import error_page

    return error_page(request, status, detail, choices=more.get("choices"), headers=headers)


def _described(error: Exception) -> tuple[int, str, dict[str, str], dict[str, Any]]:
    match error:
        case ProblemError():
            return error.status, error.detail, error.headers, error.more
        case RequestValidationError():
            found = [
                {"where": ".".join(str(part) for part in item["loc"]), "what": item["msg"]} for item in error.errors()
            ]
            detail = "; ".join(f"{item['where']}: {item['what']}" for item in found)
            return 422, detail, {}, {"errors": found}
        case AmbiguousError():
            return 409, str(error), {}, {"choices": plain(list(error.choices))}
        case NotFoundError():
            return 404, str(error), {}, {}
        case QuestionError():
            return 400, str(error), {}, {}
        case DatabaseError():
            # Its own text names the host and the file: that is for the log.
            return 503, "the database cannot be asked just now; try again in a minute", {"Retry-After": "60"}, {}
        case HTTPException():
            detail = str(error.detail) if error.status_code != 404 else "there is nothing at this address"
            return error.status_code, detail, dict(error.headers or {}), {}
    raise TypeError(f"no answer for {type(error).__name__}")


EXPECTED = (ProblemError, RequestValidationError, QuestionError, DatabaseError, HTTPException)
"""Errors that are answered; any other is a mistake of this program."""
