"""What `check-config` says of the tables of the TOML file that are read above the health checks: schedule and web."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.health.check_config import Check


def check_tables(settings: Settings) -> list[Check]:
    """Look at `[schedule]` and `[web]`; nothing is started."""
    return [*_checked("schedule", settings, _schedule), *_checked("web", settings, _web)]


def _checked(name: str, settings: Settings, look: Callable[[Settings], list[Check]]) -> list[Check]:
    from bot.config import ConfigError
    from bot.health.check_config import Area, Check, Verdict

    try:
        return look(settings)
    except ConfigError as error:
        file = str(settings.config_file)
        return [Check(Area.SETTING, name, file, "", Verdict.WRONG, str(error), "Mend the TOML file")]


def _schedule(settings: Settings) -> list[Check]:
    from bot.health.check_config import Area, Check, Verdict
    from bot.jobs.settings import ScheduleSettings

    settings.table("schedule", ScheduleSettings)
    return [Check(Area.SETTING, "schedule", "", "", Verdict.RIGHT)]


def _web(settings: Settings) -> list[Check]:
    from bot.health.check_config import Area, Check, Verdict
    from bot.web.serve import address_of
    from bot.web.settings import web_settings

    found = web_settings(settings)
    if settings.web_port == 0:
        return [Check(Area.SETTING, "web", "", "", Verdict.RIGHT, "WEB_PORT is 0: no web pages are served")]
    at = address_of(found, settings.web_port)
    secrets = (
        ("metrics_token_env", found.metrics_token_env, found.metrics_token(), "/metrics opens to no other machine"),
        (
            "discord_client_secret_env",
            found.discord_client_secret_env,
            found.discord_client_secret(),
            "nobody can log in with Discord",
        ),
    )
    wrong = [
        Check(
            Area.SETTING,
            "web",
            at,
            "",
            Verdict.WRONG,
            f"[web] {setting} names {variable}, which is not set: {meaning}",
            f"Set {variable} in the environment of the bot, or take {setting} out",
        )
        for setting, variable, value, meaning in secrets
        if variable is not None and value is None
    ]
    return wrong or [Check(Area.SETTING, "web", at, "", Verdict.RIGHT)]
