"""One destination as the settings have it: where it is, and what goes there."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from bot.config import ConfigError, Settings, explain
from bot.mirror.destinations import DestinationSettings

OnDiffers = Literal["keep", "replace", "newer"]


class Destination(DestinationSettings):
    """A `[[destinations]]` table of the TOML file."""

    on_differs: Annotated[
        OnDiffers,
        Field(
            description="what becomes of an object with other bytes than ours: keep (a finding), replace, or newer "
            "(replace where our file is the newer one); the replaced copy is kept beside it"
        ),
    ] = "keep"
    exclude: Annotated[
        dict[str, str],
        Field(description="what does not go there: shell patterns on FILE or SERVER/FILE, each under a name"),
    ] = Field(default_factory=dict)

    @field_validator("exclude")
    @classmethod
    def _rules_have_names_and_patterns(cls, value: dict[str, str]) -> dict[str, str]:
        for name, pattern in value.items():
            if not name.strip() or not pattern.strip():
                raise ValueError('give each rule a name and a shell pattern, such as awards = "*-awards.txt"')
            if pattern.strip("*/") == "":
                raise ValueError(f"the rule {name} leaves everything out; pause or remove the destination instead")
        return value

    def excluded_by(self, server: str, name: str) -> str | None:
        """Return the name of the first rule that keeps a file away from this destination, or None."""
        for rule, pattern in self.exclude.items():
            if fnmatchcase(f"{server}/{name}" if "/" in pattern else name, pattern):
                return rule
        return None


def destinations_of(settings: Settings) -> list[Destination]:
    """Return the object stores that copies go to, in the order of the TOML file.

    Raises:
        ConfigError: the TOML file is missing, unreadable or says something that is not right.
    """
    path = settings.config_file
    found = []
    for position, values in enumerate(settings.destination_tables(), 1):
        try:
            found.append(Destination(**values))
        except ValidationError as error:
            raise ConfigError(f"{path}: [[destinations]] number {position}: {explain(error)}") from error
    names = [destination.name for destination in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: two destinations are called {', '.join(twice)}; give each its own name")
    return found
