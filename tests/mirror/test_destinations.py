"""Settings of a destination, and what is said when something it needs is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.mirror import errors
from bot.mirror.destinations import DestinationSettings, open_store
from bot.mirror.errors import PackageMissing, StoreAuth, StoreError, cleaned
from bot.mirror.store import KeyOrder, ListingGuard, from_metadata, metadata_of

_S3 = {"name": "aws", "kind": "s3", "bucket": "copies"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "My Bucket"}, "pattern"),
        ({"bucket": ""}, "needs BUCKET"),
        ({"bucket": "https://copies.example"}, "name alone"),
        ({"bucket": "copies/folder"}, "PREFIX"),
        ({"prefix": "a//b"}, "empty"),
        ({"prefix": "../b"}, "empty"),
        ({"kind": "azure"}, "ACCOUNT"),
        ({"kind": "b2"}, "REGION"),
        ({"kind": "directory"}, "PATH"),
        ({"kind": "directory", "path": "copies"}, "from the root"),
        ({"access_key_env": "A"}, "together"),
        ({"secret_key_env": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "name of an environment variable"),
        ({"endpoint": "s3.example.org"}, "https://"),
        ({"endpoint": "http://nas.example.org:9000"}, "in the clear"),
        ({"endpoint": "https://me:secret@nas.example.org"}, "must not hold"),
        ({"concurrency": 0}, "greater"),
        ({"part_size": 1024}, "greater"),
        ({"secret_key": "x"}, "Extra"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DestinationSettings(**(_S3 | change))


def test_what_is_right_is_taken() -> None:
    assert DestinationSettings(**_S3, prefix="/a/b/").prefix == "a/b/"
    assert DestinationSettings(**_S3, prefix="/").prefix == ""
    b2 = DestinationSettings(name="b2", kind="b2", bucket="copies", region="us-west-004")
    assert b2.address == "https://s3.us-west-004.backblazeb2.com"
    assert DestinationSettings(**_S3, endpoint="http://nas.example.org", allow_http=True).address
    assert DestinationSettings(**_S3, endpoint="http://127.0.0.1:9000/").address == "http://127.0.0.1:9000"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET_KEY", raising=False)
    monkeypatch.setenv("SET_SECRET", "a-secret")
    settings = DestinationSettings(**_S3, access_key_env="NOT_SET_KEY", secret_key_env="SET_SECRET")
    with pytest.raises(StoreAuth, match="NOT_SET_KEY") as caught:
        open_store(settings)
    assert "a-secret" not in str(caught.value)
    assert settings.secrets() == ["a-secret"]


@pytest.mark.parametrize(
    ("package", "settings"),
    [
        ("aioboto3", _S3),
        ("obstore", _S3 | {"engine": "obstore"}),
        ("obstore", {"name": "gcs", "kind": "gcs", "bucket": "copies"}),
        ("obstore", {"name": "az", "kind": "azure", "bucket": "copies", "account": "a"}),
    ],
)
async def test_a_missing_package_is_named_and_others_go_on(
    package: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageMissing, match=f"pip install {package}"):
        open_store(DestinationSettings(**settings))
    store = open_store(DestinationSettings(name="disk", kind="directory", path=tmp_path), new=True)
    assert (await store.probe()).create_only
    await store.close()


def test_a_missing_file_of_credentials_is_named(tmp_path: Path) -> None:
    settings = DestinationSettings(name="gcs", kind="gcs", bucket="copies", credentials_file=tmp_path / "none.json")
    with pytest.raises(StoreAuth, match=r"none\.json"):
        open_store(settings)


def test_heavy_packages_are_not_imported_before_they_are_used() -> None:
    code = (
        "import sys, bot.mirror.destinations; print({'aioboto3', 'botocore', 'obstore', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "set()"


def test_every_error_has_a_word_of_its_own() -> None:
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, StoreError)]
    assert len({kind.code for kind in kinds}) == len(kinds)
    transient = {kind.code for kind in kinds if kind.transient}
    assert transient == {"throttled", "unavailable", "listing_incomplete", "content_mismatch"}


def test_what_a_store_says_is_made_fit_for_a_message() -> None:
    assert cleaned("a\x1b[31m\nred\u202e text. ") == "a [31m red text"
    assert cleaned("the key hunter2 is wrong", ["hunter2", ""]) == "the key *** is wrong"
    assert len(cleaned("x" * 10_000)) < 400


def test_what_is_stored_beside_an_object_comes_back_or_is_nothing() -> None:
    for mtime in (None, 0.0, 1735766361.25, 1735766361.123456):
        assert from_metadata(metadata_of("a" * 64, mtime)) == ("a" * 64, mtime)
    assert from_metadata({"SHA256": "a" * 64, "Mtime": "5"}) == ("a" * 64, 5.0)
    for bad in ({"sha256": "A" * 64}, {"sha256": "a" * 63}, {"mtime": "nan"}, {"mtime": "1e9"}, {"mtime": "١٢"}, {}):
        assert from_metadata(bad) == (None, None)


def test_a_listing_has_to_move_on() -> None:
    guard = ListingGuard("test", "a/", KeyOrder.UTF8)
    guard.key("a/b")
    guard.token("1")
    for wrong in ("a/b", "a/a", "b/c"):
        with pytest.raises(errors.ListingIncomplete):
            guard.key(wrong)
    for token in ("1", "", None):
        with pytest.raises(errors.ListingIncomplete):
            guard.token(token)
    guard.key("a/c")
    assert guard.count == 2
    # U+FFFD comes before U+1F600 in UTF-8, and behind it in UTF-16.
    ListingGuard("test", "", KeyOrder.EITHER, after="\U0001f600").key("\ufffd")
    with pytest.raises(errors.ListingIncomplete):
        ListingGuard("test", "", KeyOrder.UTF8, after="\U0001f600").key("\ufffd")
