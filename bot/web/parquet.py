"""Rows as a Parquet file that is sent while it is written. Takes pyarrow, which is an extra."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = ("server", "file", "map", "guid", "name")
DECIMALS = ("alive_percent",)


class _Outlet:
    """Takes what the writer writes, and hands it on."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def write(self, data: bytes) -> int:
        """Take a part."""
        self._parts.append(bytes(data))
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how much was written."""
        return self._written

    def flush(self) -> None:
        """Do nothing: what was written is taken right away."""

    def close(self) -> None:
        """Do nothing."""

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        data, self._parts = b"".join(self._parts), []
        return data


def schema_of(columns: Sequence[str]) -> Any:
    """Return the types of the columns."""

    def kind(name: str) -> Any:
        if name in TEXTS:
            return pa.string()
        if name in DECIMALS:
            return pa.float64()
        return pa.bool_() if name == "counted" else pa.int64()

    return pa.schema([(name, kind(name)) for name in columns])


async def stream(columns: Sequence[str], parts: AsyncIterator[list[tuple[Any, ...]]]) -> AsyncIterator[bytes]:
    """Yield the file's bytes, one group of rows for each part."""
    schema = schema_of(columns)
    outlet = _Outlet()
    with pq.ParquetWriter(pa.PythonFile(outlet, mode="w"), schema, compression="zstd") as writer:
        async for part in parts:
            by_column = list(zip(*part, strict=True))
            arrays = [
                pa.array(values if field.name != "counted" else [bool(value) for value in values], field.type)
                for field, values in zip(schema, by_column, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield outlet.taken()
    yield outlet.taken()
