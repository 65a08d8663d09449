"""The command line: `python -m bot COMMAND`."""

from __future__ import annotations

import typer

from bot.cli import alerts, answers, demo, health, jobs, mirror, reconcile, run, setup, web
from bot.cli.leaving import leave

app = typer.Typer(
    name="python -m bot",
    help="Keeps every round an ET:Legacy server ever played, and answers questions about them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
run.register(app)
answers.register(app)
health.register(app)
alerts.register(app)
mirror.register(app)
reconcile.register(app)
jobs.register(app)
web.register(app)
setup.register(app)
demo.register(app)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SystemExit as ending:
        leave(ending)


if __name__ == "__main__":
    main()
