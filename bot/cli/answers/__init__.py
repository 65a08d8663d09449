"""Questions about games, answered in the terminal: one module for each group of commands."""

from __future__ import annotations

import typer

from bot.cli.answers.export import export_command
from bot.cli.answers.leaderboards import leaderboard_command, records_command
from bot.cli.answers.maps import map_command, weapon_command
from bot.cli.answers.matches import match_command, round_command
from bot.cli.answers.online import server_command
from bot.cli.answers.players import compare_command, player_command
from bot.cli.answers.sessions import session_command


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("session")(session_command)
    app.command("match")(match_command)
    app.command("round")(round_command)
    app.command("player")(player_command)
    app.command("compare")(compare_command)
    app.command("leaderboard")(leaderboard_command)
    app.command("records")(records_command)
    app.command("map")(map_command)
    app.command("weapon")(weapon_command)
    app.command("server")(server_command)
    app.command("export")(export_command)
