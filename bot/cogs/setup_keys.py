"""/setup keys: the keys that programs show to the web's API, on one panel, only for the person who asked.

A key opens the API for all game servers, so it belongs to whoever acts on what they share (`bot.cogs.sync_scope`): the
bot's operator, and admins whose Discord server may see every game server. One with the scope `admin` starts things and
reads what errors say, so it is the operator's alone. Everybody sees and revokes exactly the keys that he may make. All
of this is looked up at the command, at every press and at every form.

A key's text is in one message, which has no buttons: a press on one would bring the text back to the bot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import discord
from discord import ui

from bot.cogs.access import Level, level_of
from bot.cogs.answers import Card, answer, defer, open_form, show
from bot.cogs.asker import actor
from bot.cogs.errors import UserError, explain
from bot.cogs.face import Question
from bot.cogs.paging import Blocks, Paginator
from bot.cogs.panel import Tone, panel
from bot.cogs.selects import Choose
from bot.cogs.sync_scope import sight_of
from bot.cogs.text import code, escape, plain, when
from bot.cogs.views import Act, Confirm, OwnModal
from bot.community.errors import CommunityError
from bot.community.keys import LONGEST_NAME, MOST_DAYS, Key, Scope
from bot.locales import Texts

EACH_PAGE: Final = 5
"""Keys on a page."""

USUAL_DAYS: Final = "90"
"""What the form has filled in for the days until a key ends."""


async def keeper_level(interaction: Question) -> Level:
    """Return the level of a person who may make and revoke keys here.

    Raises:
        UserError: he may not; it says who can.
    """
    sight = await sight_of(interaction)
    if sight.level < Level.ADMIN:
        raise UserError("error.needs_admin")
    if not sight.whole:
        raise UserError("keys.needs_whole", operator=_operators(interaction))
    return sight.level


def may_keep(level: Level, scopes: Iterable[Scope]) -> bool:
    """Tell whether who may make keys may make, see and revoke one with these scopes."""
    return level >= Level.OWNER or Scope.ADMIN not in set(scopes)


async def open_keys(interaction: Question) -> None:
    """Answer with the panel.

    Raises:
        UserError: the person may not keep keys; it says who can.
    """
    found = KeysPanel(interaction, await interaction.client.texts_for(interaction, private=True))
    await found.fill(interaction, 0)
    await answer(interaction, found, private=True)


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form: at first, or when it is opened again."""

    name: str = ""
    scopes: tuple[Scope, ...] = (Scope.GAMES,)
    days: str = USUAL_DAYS


class KeysPanel(Paginator):
    """The keys, page by page, with a button to make one and a select to revoke one."""

    def __init__(self, origin: Question, t: Texts) -> None:
        super().__init__(origin, t, t("keys.title"), self._page, 1, level=Level.ADMIN)
        self.keys: list[Key] = []
        self.keeper = Level.ADMIN
        self.typed = Typed()
        self.trouble = ""

    async def demand(self, interaction: Question) -> None:
        """Look again whether the person may keep keys: roles and sight change."""
        self.keeper = await keeper_level(interaction)

    async def turn(self, interaction: Question, number: int) -> None:
        """Show another page, of the keys that there are now."""
        await self.fill(interaction, number)
        await show(interaction, Card(view=self))

    async def fill(self, interaction: Question, number: int, trouble: str = "") -> None:
        """Put a page of the keys that there are now into the layout, those that open something first.

        Args:
            interaction: of the person who looks.
            number: of the page, from 0.
            trouble: what was wrong with the form.

        Raises:
            UserError: the person may not keep keys (any more).
        """
        self.keeper = await keeper_level(interaction)
        now = interaction.client.clock()
        there = [key for key in await interaction.client.keys.list() if may_keep(self.keeper, key.scopes)]
        self.keys = sorted(there, key=lambda key: not key.opens(now))
        self.count = max(-(-len(self.keys) // EACH_PAGE), 1)
        self.trouble = trouble
        await self.build(min(max(number, 0), self.count - 1))

    async def build(self, number: int) -> None:
        """Put a page and its buttons into the layout."""
        await super().build(number)
        now = self.latest.client.clock()
        options = [
            discord.SelectOption(label=plain(key.name, 100), value=str(key.id), description=_what(key))
            for key in self._on(number)
            if key.opens(now)
        ]
        if options:
            self.add_item(ui.ActionRow(Choose(self._revoke, options=options, placeholder=self.t("keys.revoke_choose"))))
        make = Act(self._make, label=self.t("keys.make"), style=discord.ButtonStyle.primary)
        self.add_item(ui.ActionRow(make))

    async def made(self, interaction: Question, key: Key, text: str) -> None:
        """Show a new key's text, this once and to nobody else, and the panel with the key on it."""
        self.typed = Typed()
        await defer(interaction)
        await answer(interaction, _made_card(key, text, self.t), private=True)
        await self.fill(interaction, 0)
        await self.redraw()

    async def refused(self, interaction: Question, typed: Typed, error: CommunityError) -> None:
        """Say why there is no key; the form opens with what was typed."""
        self.typed = typed
        await self.fill(interaction, self.number, explain(error, self.t, self.level) or "")
        await show(interaction, Card(view=self))

    def _on(self, number: int) -> list[Key]:
        return self.keys[number * EACH_PAGE : (number + 1) * EACH_PAGE]

    async def _page(self, number: int) -> Blocks:
        bot = self.latest.client
        blocks = [self.t("keys.intro")]
        if not bot.app.settings.web_port:
            blocks.append("⚪ " + self.t("keys.no_web"))
        if self.trouble:
            blocks.append("🔴 " + self.trouble)
        if not self.keys:
            blocks.append(self.t("keys.none", button=self.t("keys.make")))
        return blocks + [key_block(key, self.t, bot.clock()) for key in self._on(number)]

    async def _make(self, interaction: Question) -> None:
        await open_form(interaction, KeyForm(self, self.typed))

    async def _revoke(self, interaction: Question, values: list[str]) -> None:
        key = next((key for key in self.keys if str(key.id) in values), None)
        if key is None or not may_keep(self.keeper, key.scopes):
            raise UserError("keys.gone")
        await defer(interaction)  # the panel can be drawn anew by this press, whatever becomes of the question
        name, hint = escape(key.name, LONGEST_NAME), f"`{code(key.hint)}…`"
        question = self.t("keys.revoke", name=name, hint=hint, scopes=", ".join(key.scopes))
        confirm = Confirm(interaction, self.t, question, self.t("keys.revoke_button"), level=self.level)
        pressed = await confirm.ask()
        if pressed is not None:
            if not may_keep(await keeper_level(pressed), key.scopes):
                raise UserError("keys.gone")
            if not await interaction.client.keys.revoke(key.id, actor(pressed)):
                raise UserError("keys.gone")
            await show(pressed, panel(self.t("keys.title"), self.t("keys.revoked", name=name), tone=Tone.GOOD))
        await self.fill(interaction, self.number)
        await self.redraw()


class KeyForm(OwnModal):
    """Asks what a new key is for, what it opens and when it ends; what was typed stays when it is not possible."""

    def __init__(self, keys: KeysPanel, typed: Typed) -> None:
        t = keys.t
        super().__init__(t("keys.make"), level=keys.level)
        self.keys = keys
        self.name: ui.TextInput[Any] = ui.TextInput(default=typed.name, max_length=LONGEST_NAME)
        offered = [scope for scope in Scope if may_keep(keys.keeper, [scope])]
        options = [
            discord.CheckboxGroupOption(
                label=scope.value,
                value=scope.value,
                description=t(f"keys.scope.{scope.value}")[:100],
                default=scope in typed.scopes,
            )
            for scope in offered
        ]
        self.scopes: ui.CheckboxGroup[Any] = ui.CheckboxGroup(options=options, min_values=1, max_values=len(options))
        self.days: ui.TextInput[Any] = ui.TextInput(default=typed.days, max_length=4, required=False)
        for name, component in (("name", self.name), ("scopes", self.scopes), ("days", self.days)):
            said = t(f"keys.form.{name}_help", most=MOST_DAYS)
            self.add_item(ui.Label[Any](text=t(f"keys.form.{name}")[:45], description=said[:100], component=component))

    async def demand(self, interaction: Question) -> None:
        """Look again whether the person may keep keys: the form may have been open for long."""
        await self.keys.demand(interaction)

    async def on_submit(self, interaction: Question, /) -> None:  # type: ignore[override]
        """Make the key, or say what it lacks."""
        chosen = tuple(scope for scope in Scope if scope.value in self.scopes.values)
        if not may_keep(await level_of(interaction), chosen):
            raise UserError("keys.admin_scope", operator=_operators(interaction))
        typed = Typed(self.name.value, chosen, self.days.value.strip())
        self.keys.used_by(interaction)
        try:
            key, text = await interaction.client.keys.add(
                typed.name, chosen, actor(interaction), days=_days(typed.days)
            )
        except CommunityError as error:
            await self.keys.refused(interaction, typed, error)
            return
        await self.keys.made(interaction, key, text)


def key_block(key: Key, t: Texts, now: float) -> str:
    """Return a key in words: whether it opens anything, what, and how long."""
    if key.revoked_at is not None:
        state = t("keys.state.revoked", when=when(key.revoked_at))
    elif not key.opens(now):
        state = t("keys.state.ended", when=when(key.expires_at or now))
    elif key.expires_at is not None:
        state = t("keys.state.ends", when=when(key.expires_at, "R"))
    else:
        state = t("keys.state.endless")
    used = t("keys.unused") if key.last_used_at is None else t("keys.used", when=when(key.last_used_at, "R"))
    number = key.created_by.removeprefix("discord:")
    by = f"<@{number}>" if number != key.created_by and number.isdigit() else f"`{code(key.created_by, 60)}`"
    return "\n".join(
        (
            f"{'🟢' if key.opens(now) else '⚪'} **{escape(key.name, LONGEST_NAME)}** · {state}",
            f"-# `{code(key.hint)}…` · {', '.join(key.scopes)} · {used} · "
            + t("keys.made_by", by=by, when=when(key.created_at, "D")),
        )
    )


def _what(key: Key) -> str:
    return plain(f"{key.hint}… · {', '.join(key.scopes)}", 100)


def _days(typed: str) -> int | None:
    """Return what was typed as a number of days; 0, which is none, where it is no number."""
    if not typed:
        return None
    return int(typed) if typed.isascii() and typed.isdigit() else 0


def _operators(interaction: Question) -> str:
    return ", ".join(f"<@{number}>" for number in sorted(interaction.client.operators)) or "?"


def _made_card(key: Key, text: str, t: Texts) -> ui.LayoutView:
    ends = t("keys.state.endless") if key.expires_at is None else t("keys.state.ends", when=when(key.expires_at, "R"))
    name, scopes = escape(key.name, LONGEST_NAME), ", ".join(key.scopes)
    # The key alone in its block: what a tap or the block's button copies is the key and nothing else.
    card = panel(
        t("keys.made_title"),
        t("keys.made", name=name, scopes=scopes, state=ends),
        f"```\n{text}\n```",
        t("keys.send") + f"\n```\nAuthorization: Bearer {key.hint}…\n```",
        tone=Tone.GOOD,
    )
    card.stop()  # nothing on it is pressed, so discord.py keeps nothing of it
    return card
