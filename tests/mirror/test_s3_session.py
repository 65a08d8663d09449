"""The session of all S3 destinations: what botocore is made to leave out must not be missed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import aiobotocore.session
import pytest
from botocore.utils import parse_timestamp

from bot.mirror.s3_session import SERVICES, session, timestamp


def client(service: str, region: str, maker: Any) -> Any:
    return maker(service, region_name=region, aws_access_key_id="a", aws_secret_access_key="b")


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "a-region-to-come-1"])
@pytest.mark.parametrize("service", ["s3", "sts", "sso", "sso-oidc"])
async def test_clients_are_as_botocore_makes_them(service: str, region: str) -> None:
    """Keys of S3 may come from the others: roles, and logins of a whole company."""
    plain = aiobotocore.session.get_session()
    async with (
        client(service, region, session().client) as ours,
        client(service, region, plain.create_client) as theirs,
    ):
        assert ours.meta.endpoint_url == theirs.meta.endpoint_url
        assert ours.meta.region_name == theirs.meta.region_name
        assert ours.meta.config.signature_version == theirs.meta.config.signature_version
        models = [one.meta.service_model for one in (ours, theirs)]
        assert models[0].operation_names == models[1].operation_names
        for name in models[0].operation_names:
            for shape in ("input_shape", "output_shape"):
                mine, real = (getattr(model.operation_model(name), shape) for model in models)
                assert (mine and list(mine.members)) == (real and list(real.members))
        assert len(models[0].client_context_parameters) == len(models[1].client_context_parameters)


async def test_what_nobody_looks_at_is_not_kept() -> None:
    async with client("s3", "us-east-1", session().client) as made:
        assert made.meta.service_model.documentation == ""
    loader = session()._session.get_component("data_loader")
    services = [set(partition["services"]) for partition in loader.load_data("endpoints")["partitions"]]
    assert max(services, key=len) == SERVICES
    assert loader.load_data("partitions")["partitions"][0]["id"] == "aws"


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-04T20:12:03.000Z",
        "2025-03-04T20:12:03Z",
        "2025-03-04T20:12:03.123456Z",
        "2025-03-04T21:12:03+01:00",
        "Tue, 04 Mar 2025 20:12:03 GMT",
        "1741119123",
        1741119123,
    ],
)
def test_times_are_read_as_botocore_reads_them(text: Any) -> None:
    assert timestamp(text) == parse_timestamp(text)
    assert timestamp(text).astimezone(UTC).replace(microsecond=0) == datetime(2025, 3, 4, 20, 12, 3, tzinfo=UTC)


def test_what_is_no_time_is_refused() -> None:
    for text in ("yesterday Z", "Z", "2025-13-41T00:00:00Z"):
        with pytest.raises(ValueError, match="timestamp"):
            timestamp(text)
