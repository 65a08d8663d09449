"""The API against its own description: any request that it allows is answered as it says, and never with a mistake."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import jsonschema
import pytest

from bot.app import App
from bot.community.keys import Scope
from bot.config import Settings
from bot.db.engine import Database
from bot.ingest.importer import Importer
from bot.ingest.rules import CountingRules
from bot.web.app import build_web
from tests.web.site import Site, open_site

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"

QUICK, LONG = (3, "examples,fuzzing"), (150, "examples,coverage,fuzzing")
"""Examples of each operation, and which kinds."""


async def fuzz(site: Site, folder: Path, examples: int, phases: str) -> tuple[int, str]:
    key = await site.key(Scope.ADMIN)
    document = folder / "openapi.json"
    described = build_web(site.app, clock=site.clock).openapi()
    # A stream has no end to wait for; it is tested beside.
    described["paths"] = {path: found for path, found in described["paths"].items() if not path.endswith("/events")}
    document.write_text(json.dumps(described))
    arguments = [
        "run", str(document), "--url", site.address, "--header", f"Authorization: Bearer {key}", "--checks", CHECKS,
        "--max-examples", str(examples), "--phases", phases, "--seed", "1", "--no-color",
        "--generation-database", "none", "--request-timeout", "20",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", *arguments, cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("examples", "phases"), [QUICK, pytest.param(*LONG, marks=pytest.mark.long)])
async def test_every_operation_answers_as_it_is_described(
    played: Database, tmp_path: Path, examples: int, phases: str
) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    toml = f'[[destinations]]\nname = "nas"\nkind = "directory"\npath = "{nas}"\n'
    web = {"known_per_minute": 10_000_000, "anonymous_per_minute": 10_000_000}
    async with open_site(played, tmp_path, toml=toml, web=web) as site:
        await site.app.mirrors.copiers["nas"].cycle()
        code, said = await fuzz(site, tmp_path, examples, phases)
    assert code == 0, said[-6000:]
    tested = re.search(r"Tested:\s+(\d+)", said)
    assert tested is not None, said[-3000:]
    assert int(tested[1]) > 40


def test_the_document_describes_every_operation_and_the_problems_it_may_end_in(database: Database) -> None:
    document = build_web(App(Settings(_env_file=None), database, Importer(database, CountingRules()), ())).openapi()
    operations = [(path, method, one) for path, found in document["paths"].items() for method, one in found.items()]
    assert len(operations) > 45
    for path, method, one in operations:
        place = f"{method} {path}"
        assert one["summary"], place
        assert one["description"], place
        assert "429" in one["responses"], place
        if path == "/api/status/public":
            assert one["security"] == []
            continue
        assert one["security"], place
        assert "401" in one["responses"], place
        problem = one["responses"]["401"]["content"]["application/problem+json"]["schema"]
        assert problem == {"$ref": "#/components/schemas/Problem"}
        told = one["responses"].get("200") or one["responses"]["202"]
        assert told["content"], place
    assert {"key", "session"} <= set(document["components"]["securitySchemes"])
    jsonschema.Draft202012Validator.check_schema(document["components"]["schemas"]["SessionAnswer"])


async def test_a_person_reads_the_description_and_a_program_gets_it(site: Site) -> None:
    browser = await site.browser()
    async with browser:
        page = (await browser.get("/api/docs")).text
        document = (await browser.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
