"""Discord's own description of its API, asked about requests and about the stand-in's answers.

The file is no part of the project; where it is absent only the rules typed by hand are enforced.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

__all__ = ["Schema"]

_SUCCESS = range(200, 300)


class Schema:
    """The OpenAPI file.

    Args:
        path: of `openapi.json`.
    """

    def __init__(self, path: Path) -> None:
        self.document: dict[str, Any] = json.loads(path.read_bytes())
        # Discord takes ids as numbers too, as discord.py sends some, but answers with text only.
        lenient = json.loads(path.read_bytes())
        schemas = lenient["components"]["schemas"]
        schemas["SnowflakeType"] = {"type": ["string", "integer"]}
        # The file knows permissions as numbers only, the documentation as text only; both are taken.
        for name in ("CreateRequest", "UpdateRequest", "PatchRequestPartial"):
            properties = schemas[f"ApplicationCommand{name}"]["properties"]
            properties["default_member_permissions"] = {"type": ["string", "integer", "null"]}
        documents = [("urn:answers", self.document), ("urn:requests", lenient)]
        self._registry: Registry[Any] = Registry().with_resources(
            (name, DRAFT202012.create_resource(contents)) for name, contents in documents
        )
        self._fast_registry = jsonschema_rs.Registry(documents)
        # Their parameters have other names than ours at times, and `@original` is a route of its own.
        self._paths = {re.sub(r"\{\w+\}", "{}", path): path for path in self.document["paths"]}
        self._validator = cache(self._compile)
        self._fast_validator = cache(self._compile_fast)

    def knows(self, method: str, template: str) -> bool:
        """Say whether there is such a route."""
        return bool(self._operation(method, template))

    def judge_request(self, method: str, template: str, body: Any) -> str | None:
        """Return what is wrong with a request's body, None if nothing is or if the file does not speak of it."""
        operation = self._operation(method, template)
        pointer = _pointer_to_body(operation)
        if pointer is None:
            return None
        return self._judge(f"urn:requests#/paths/{_escaped(self._path(template))}/{method.lower()}/{pointer}", body)

    def judge_answer(self, method: str, template: str, status: int, payload: Any) -> str | None:
        """Return what is wrong with an answer, None if nothing is or if the file does not speak of it."""
        if status not in _SUCCESS:
            return None
        responses = self._operation(method, template).get("responses", {})
        if not responses:
            return None
        if str(status) not in responses:
            return f"status {status} instead of {', '.join(responses)}"
        if "application/json" not in responses[str(status)].get("content", {}):
            return None if payload is None else "a body where Discord sends none"
        pointer = f"responses/{status}/content/application~1json/schema"
        return self._judge(f"urn:answers#/paths/{_escaped(self._path(template))}/{method.lower()}/{pointer}", payload)

    def judge(self, name: str, value: Any) -> str | None:
        """Return what is wrong with a value that should be one of `components/schemas`."""
        return self._judge(f"urn:answers#/components/schemas/{name}", value)

    def _path(self, template: str) -> str:
        path: str = self._paths.get(re.sub(r"\{\w+\}", "{}", template), "")
        return path

    def _operation(self, method: str, template: str) -> dict[str, Any]:
        operation: dict[str, Any] = self.document["paths"].get(self._path(template), {}).get(method.lower(), {})
        return operation

    def _compile(self, reference: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": reference}, registry=self._registry)

    def _compile_fast(self, reference: str) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator({"$ref": reference}, registry=self._fast_registry)

    def _judge(self, reference: str, value: Any) -> str | None:
        # A tree of commands takes the one in Python half a second; the other, in Rust, does not name the best match.
        if self._fast_validator(reference).is_valid(value):
            return None
        error = best_match(self._validator(reference).iter_errors(value))
        if error is None:
            return "(body): one validator refuses what the other takes"
        return f"{'.'.join(map(str, error.absolute_path)) or '(body)'}: {error.message[:500]}"


def _pointer_to_body(operation: dict[str, Any]) -> str | None:
    if "application/json" not in operation.get("requestBody", {}).get("content", {}):
        return None
    return "requestBody/content/application~1json/schema"


def _escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
