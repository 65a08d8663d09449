"""What the OpenAPI document says of answers: made from the services' own dataclasses, so the two cannot differ."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fastapi import Request
from pydantic import ConfigDict, create_model
from starlette.responses import Response

from bot.stats.leaderboards import Metric
from bot.stats.plain import RATIOS, plain
from bot.stats.totals import Totals
from bot.web.privacy import shown

HIDDEN = {Metric: {"columns", "value", "rate"}}
"""Fields that `plain` leaves out."""


@cache
def model_of(source: Any) -> Any:
    """Return the model of what `plain` makes of a dataclass, or of a generic one with its argument."""
    arguments = get_args(source)
    name = source.__name__ + "".join(f"Of{argument.__name__}" for argument in arguments)
    source = get_origin(source) or source
    filled = dict(zip(getattr(source, "__parameters__", ()), arguments, strict=False))
    hints = get_type_hints(source)
    columns: dict[str, Any] = {}
    for field in fields(source):
        if field.name not in HIDDEN.get(source, ()):
            columns[field.name] = (_type_of(hints[field.name], filled), ...)
    if source is Totals:
        columns |= dict.fromkeys(RATIOS, (float | None, ...))
    described = (source.__doc__ or "").strip().split("\n\n")[0]
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=described, **columns)


def list_of(source: Any) -> Any:
    """Return the model of a list of them."""
    return types.GenericAlias(list, (model_of(source),))


def _type_of(hint: Any, filled: Mapping[Any, Any]) -> Any:
    hint = filled.get(hint, hint) if isinstance(hint, TypeVar) else hint
    origin = get_origin(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return model_of(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if origin in (Union, types.UnionType):
        return Union[tuple(_type_of(part, filled) for part in get_args(hint))]  # noqa: UP007 - made at run time
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return types.GenericAlias(dict, (str, _type_of(get_args(hint)[1], filled)))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return types.GenericAlias(list, (_type_of(get_args(hint)[0], filled),))
    return hint


def json_answer(request: Request, value: Any, *, status: int = 200) -> Response:
    """Return a value as JSON with its mark; whoever has it already is told so and gets nothing again."""
    text = json.dumps(plain(shown(request, value)), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    mark = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    # What was asked without logging in may differ after it.
    headers = {"ETag": mark, "Vary": "Authorization, Cookie"}
    if status == 200 and has_already(request, mark):
        return Response(status_code=304, headers=headers)
    return Response(text, status, headers=headers, media_type="application/json")


def has_already(request: Request, mark: str) -> bool:
    """Tell whether who asks keeps the answer that has this mark."""
    return mark in [part.strip() for part in request.headers.get("if-none-match", "").split(",")]
