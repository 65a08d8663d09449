"""Play an evening in a stand-in Discord, and keep everything that was said: `python -m tools.demo_discord [FOLDER]`.

A simulated game server plays, the bot fetches, announces and answers; a player and an admin ask; a bucket fails and
comes back. Every message lies in FOLDER/index.html with its pictures beside it.
"""

from __future__ import annotations

import asyncio
import html
import re
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bot.log import configure_logging
from tests.standins.discord import Actor, DiscordServer, Permission, Reply
from tests.standins.discord.messages import walk
from tests.standins.evening import DESTINATION, Evening, an_evening
from tests.standins.objectstores import Answer

PLAYER_ASKS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("help", {}),
    ("last", {}),
    ("match", {}),
    ("round", {}),
    ("leaderboard", {"metric": "dpm"}),
    ("records", {}),
    ("map", {"map": "te_escape2"}),
    ("weapon", {"weapon": "MP 40"}),
    ("privacy", {}),
    ("ping", {}),
)
ADMIN_ASKS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("setup start", {}),
    ("setup check", {}),
    ("sync status", {}),
    ("sync diagnose", {}),
    ("mirror status", {}),
    ("jobs list", {}),
    ("alerts list", {}),
)


class Album:
    """What was said, as a page to look at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: list[str] = []
        self.index: list[str] = []

    def add(self, title: str, reply: Reply) -> None:
        """Keep a message, with its pictures."""
        number = len(self.index) + 1
        saved = []
        for file in reply.files:
            safe = re.sub(r"[^\w.-]", "_", file.filename)
            path = self.folder / f"{number:02}-{safe}"
            path.write_bytes(file.data)
            saved.append((path.name, file.filename, file.description or ""))
        self.index.append(f"{number:3}  {title}" + (f"  {', '.join(name for name, _, _ in saved)}" if saved else ""))
        colour = next((c["accent_color"] for c in reply.components if c.get("accent_color") is not None), 0x5865F2)
        seen = "only to who asked" if reply.ephemeral else "to everybody"
        self.parts.append(
            f"<section><h2>{number}. {html.escape(title)} <small>{seen}</small></h2>"
            f'<div class="box" style="border-color:#{colour:06x}">{_body(reply, saved)}</div></section>'
        )

    def write(self) -> Path:
        """Write the page; return it."""
        path = self.folder / "index.html"
        path.write_text(f"<!doctype html><meta charset=utf-8><title>demo</title>{STYLE}{''.join(self.parts)}", "utf-8")
        return path


STYLE: Final = (
    "<style>body{background:#313338;color:#dbdee1;font:16px/1.4 sans-serif;max-width:46em;margin:2em auto}"
    "h2{font-size:1em;color:#949ba4}small{font-weight:normal}.box{background:#2b2d31;border-left:4px solid;"
    "border-radius:4px;padding:.8em 1em}img{max-width:100%;border-radius:4px}button{background:#4e5058;color:#fff;"
    "border:0;border-radius:3px;padding:.5em 1em;margin:.2em}code{background:#1e1f22}.alt,.small{color:#949ba4;"
    "font-size:.8em}</style>"
)


def _body(reply: Reply, saved: list[tuple[str, str, str]]) -> str:
    parts = [_marked(reply.content)]
    parts += [_marked("\n".join(str(embed.get(key, "")) for key in ("title", "description"))) for embed in reply.embeds]
    for part in walk(reply.components):
        if part["type"] == 10:
            parts.append(_marked(part["content"]))
        elif part["type"] == 2:
            parts.append(f"<button>{html.escape(part.get('label') or '?')}</button>")
        elif part["type"] in (3, 5, 6, 7, 8):
            parts.append(f"<button>▾ {html.escape(part.get('placeholder') or 'choose')}</button>")
        elif part["type"] == 12:
            parts += [_picture(name, alt) for name, file, alt in saved if file.endswith(".png")]
    parts += [
        f'<p><a href="{name}">{html.escape(file)}</a></p>' for name, file, _ in saved if not file.endswith(".png")
    ]
    return "".join(parts)


def _picture(name: str, alt: str) -> str:
    return f'<img src="{name}" alt="{html.escape(alt)}"><p class="alt">alt text: {html.escape(alt)}</p>'


def _marked(text: str) -> str:
    """Return markdown as Discord shows it, roughly."""
    lines = []
    for line in text.splitlines():
        shown = html.escape(line, quote=False)
        shown = re.sub(r"&lt;t:(\d+):(\w)&gt;", _time, shown)
        shown = re.sub(r"&lt;/([\w -]+):\d+&gt;", r"<code>/\1</code>", shown)
        shown = re.sub(r"&lt;([@#])&amp;?!?\d+&gt;", r"<code>\1…</code>", shown)
        shown = re.sub(r"(?<!\\)`([^`]+)`", r"<code>\1</code>", shown)
        shown = re.sub(r"(?<!\\)\*\*(.+?)(?<!\\)\*\*", r"<b>\1</b>", shown)
        shown = re.sub(r"(?<!\\)__(.+?)(?<!\\)__", r"<u>\1</u>", shown)
        for mark, tag in (("### ", "<h3>{}</h3>"), ("-# ", '<div class="small">{}</div>'), ("", "<div>{}</div>")):
            if shown.startswith(mark):
                lines.append(tag.format(re.sub(r"\\(.)", r"\1", shown.removeprefix(mark))))
                break
    return "".join(lines)


def _time(match: re.Match[str]) -> str:
    at = datetime.fromtimestamp(int(match[1]), UTC)
    return {"t": f"{at:%H:%M}", "D": f"{at:%d %B %Y}", "R": f"at {at:%H:%M}"}.get(match[2], f"{at:%d %B %Y %H:%M}")


async def _ask(album: Album, who: Actor, line: str, options: dict[str, Any]) -> None:
    reply = await who.slash(line, **options)
    if not reply.has_message or reply.deleted:
        reply = await reply.followup()
    told = " ".join([f"/{line}", *(f"{name}:{value}" for name, value in options.items())])
    album.add(f"{who.name} asks {told}", reply)


async def _play(evening: Evening, album: Album) -> None:
    """Let the evening happen."""
    world = evening.world
    anna, boss = world.user("anna"), world.user("boss", permissions=Permission.MANAGE_GUILD)
    await evening.set_up()
    await evening.plays()
    await evening.until(lambda: len(evening.posted()) == 1, "the first round")
    album.add("a round is over", evening.posted()[0])
    await evening.plays(6)
    await evening.until(lambda: len(evening.posted()) == 4, "the maps")
    await evening.plays()
    await evening.until(lambda: "2nd attack" in evening.posted()[3].text, "the last map")
    for message in evening.posted():
        album.add("a map is over", message)
    for line, options in PLAYER_ASKS:
        await _ask(album, anna, line, options)
    names = [choice.value for choice in await anna.autocomplete("player", player="")][:2]
    await _ask(album, anna, "player", {"player": names[0]})
    await _ask(album, anna, "compare", {"player1": names[0], "player2": names[1]})
    evening.bucket.on(lambda _: True, Answer(503))
    copier = evening.app.mirrors.copiers[DESTINATION]
    for _ in range(4):
        await copier.cycle(asked=True)
        evening.pass_time(minutes=10)
        await evening.look()
    album.add("the bucket does not answer", evening.posted(evening.alerts)[0])
    for line, options in ADMIN_ASKS:
        await _ask(album, boss, line, options)
    evening.bucket.heal()
    await copier.cycle(asked=True)
    for minutes in (1, 60):
        evening.pass_time(minutes=minutes)
        await evening.look()
    album.add("the bucket is back", evening.posted(evening.alerts)[-1])
    evening.pass_time(minutes=30)
    await evening.announce()
    album.add("the evening is over", evening.posted()[-1])


async def _demo(folder: Path) -> Album:
    album = Album(folder)
    with tempfile.TemporaryDirectory() as scratch, DiscordServer() as discord:
        world = discord.new_world()
        async with an_evening(Path(scratch), discord, world) as evening:
            await _play(evening, album)
        world.verify()
    return album


def main(
    folder: Annotated[Path, typer.Argument(help="Where everything goes; what lay there is taken away.")] = Path(
        "demo-output/discord"
    ),
) -> None:
    """Play an evening in a stand-in Discord, and keep every message and picture."""
    configure_logging("error")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    album = asyncio.run(_demo(folder))
    page = album.write()
    typer.echo("\n".join(album.index))
    typer.echo(f"\nLook at {page}")


if __name__ == "__main__":
    typer.run(main)
