from __future__ import annotations

import inspect

import parsers


def test_every_public_name_exists_and_says_what_it_is() -> None:
    for name in parsers.__all__:
        value = getattr(parsers, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert (value.__doc__ or "").strip(), name


def test_every_public_function_is_exported_once() -> None:
    assert len(set(parsers.__all__)) == len(parsers.__all__)
    assert isinstance(parsers.PARSER_VERSION, int)
