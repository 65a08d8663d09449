"""Every language says everything: the same keys, the same placeholders, none missing in the code and none left over."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.locales import FOLDER, SOURCE, Catalogue, Language, LocaleError, Texts, catalogue, load_language, placeholders

ROOT = Path(__file__).resolve().parents[2]
OTHERS = sorted(set(catalogue().languages) - {SOURCE})
KEY = re.compile(r"[a-z_]+(\.[a-z_{}]+)+")


def source() -> Language:
    return catalogue().languages[SOURCE]


def test_there_are_english_and_german() -> None:
    assert {"en", "de"} <= set(catalogue().languages)


@pytest.mark.parametrize("tag", OTHERS)
def test_a_language_has_every_text_and_no_other(tag: str) -> None:
    assert set(catalogue().languages[tag].texts) == set(source().texts)


@pytest.mark.parametrize("tag", OTHERS)
def test_a_language_has_the_same_placeholders(tag: str) -> None:
    theirs = catalogue().languages[tag].texts
    different = {
        key: (placeholders(text), placeholders(theirs[key]))
        for key, text in source().texts.items()
        if placeholders(text) != placeholders(theirs[key])
    }
    assert different == {}


@pytest.mark.parametrize("tag", sorted(catalogue().languages))
def test_a_text_with_forms_has_the_one_for_every_other_number(tag: str) -> None:
    for key, text in catalogue().languages[tag].texts.items():
        if isinstance(text, dict):
            assert "other" in text, key
            assert "count" in placeholders(text), key


def strings(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Every text of a module; those with values in them as patterns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.escape(node.value), False
        elif isinstance(node, ast.JoinedStr):
            parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else "[a-z_]+" for p in node.values]
            yield "".join(parts), True


def modules() -> list[Path]:
    return sorted(
        [ROOT / "bot" / "client.py", *(ROOT / "bot" / "cogs").glob("*.py"), *(ROOT / "bot" / "cards").glob("*.py")]
    )


def question_codes() -> set[str]:
    """The codes that errors of the statistics carry."""
    found: set[str] = set()
    for path in (*(ROOT / "bot" / "stats").glob("*.py"), *(ROOT / "bot" / "community").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code":
                found |= {text for text, _ in strings(node.value)}
    return found


def test_every_key_in_the_code_has_a_text() -> None:
    missing = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            key = getattr(node.args[0], "value", None)
            if name in ("t", "UserError") and isinstance(key, str) and key not in source().texts:
                missing.append(f"{path.name}: {key}")
    assert missing == []


def test_every_text_is_used() -> None:
    patterns: set[str] = set()
    for path in modules():
        patterns |= {text for text, _ in strings(ast.parse(path.read_text(encoding="utf-8"))) if "." in text}
    used = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    # Errors of the services carry their code, which becomes a key.
    codes = set()
    for path in (ROOT / "bot" / "community").glob("*.py"):
        codes |= set(re.findall(r'CommunityError\(\s*"([a-z_]+)"', path.read_text(encoding="utf-8")))
    for path in modules():
        codes |= set(re.findall(r'CommunityError\(\s*"([a-z_]+)"', path.read_text(encoding="utf-8")))
    community = {key for key in source().texts if key.startswith("community.")}
    assert community == {f"community.{code}" for code in codes}
    questions = {key for key in source().texts if key.startswith("question.")}
    assert questions == {f"question.{code}" for code in question_codes()}
    unused = [key for key in source().texts if not used.fullmatch(key)]
    assert unused == []


# ---------------------------------------------------------------------- how texts are chosen and written


def texts(tag: str, **own: object) -> Texts:
    language = Language(tag, texts=own)  # type: ignore[arg-type]
    return Catalogue([Language("en", texts={"a": "en {count}"}), *([language] if tag != "en" else [])]).texts(tag)


def test_numbers_are_written_as_the_language_does() -> None:
    assert catalogue().texts("en").number(1234567.891, 2) == "1,234,567.89"
    assert catalogue().texts("de").number(1234567.891, 2) == "1.234.567,89"
    assert catalogue().texts("de").percent(12.34, 1) == "12,3 %"
    assert catalogue().texts("de").number(None) == "\N{EN DASH}"


def test_plurals_follow_the_languages_own_rule() -> None:
    polish = texts("pl", a={"one": "{count} runda", "few": "{count} rundy", "many": "{count} rund", "other": "?"})
    assert [polish("a", count=n) for n in (1, 2, 5, 22)] == ["1 runda", "2 rundy", "5 rund", "22 rundy"]


def test_a_gap_is_filled_from_english_and_an_unknown_key_breaks_nothing() -> None:
    assert texts("pl")("a", count=3) == "en 3"
    assert texts("pl")("no.such.key") == "no.such.key"


def test_the_first_language_that_there_is_is_taken() -> None:
    assert catalogue().match("de-AT") == "de"
    assert catalogue().match("xx", "de") == "de"
    assert catalogue().match(None, "xx") == "en"


def test_a_dropped_folder_is_a_language(tmp_path: Path) -> None:
    folder = tmp_path / "nl"
    folder.mkdir()
    (folder / "core.json").write_text(json.dumps({"texts": {"ping.title": "Hier ben ik"}}))
    made = Catalogue([load_language(FOLDER / "en"), load_language(folder)])
    assert made.texts("nl")("ping.title") == "Hier ben ik"
    assert made.languages["nl"].native_name == "Nederlands"


@pytest.mark.parametrize("content", ["{", '{"text": {}}', "[]"])
def test_a_file_that_is_wrong_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "core.json").write_text(content)
    with pytest.raises(LocaleError, match=r"core\.json"):
        load_language(tmp_path)


def test_a_key_in_two_files_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text('{"texts": {"x.y": "z"}}')
    with pytest.raises(LocaleError, match=r"x\.y"):
        load_language(tmp_path)
