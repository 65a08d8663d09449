"""What a user sees of the bot: messages, with their buttons and selects, and modals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.standins.discord import interactions, invocation, messages
from tests.standins.discord.errors import CannotDoThat
from tests.standins.discord.interactions import Interaction
from tests.standins.discord.model import Attachment, Channel, Json, Message, MessageFlag, User
from tests.standins.discord.permissions import Permission, permissions_in

if TYPE_CHECKING:
    from tests.standins.discord.actors import Actor
    from tests.standins.discord.world import World

__all__ = ["Button", "Modal", "Reply"]

BUTTON, STRING_SELECT, TEXT_INPUT = 2, 3, 4
SELECTS = {3: 0, 5: invocation.USER, 6: invocation.ROLE, 7: invocation.MENTIONABLE, 8: invocation.CHANNEL}
TEXT_DISPLAY = 10
LINK = 5

QUIET = 0.05
WAITS = 10.0


@dataclass(frozen=True, slots=True)
class Button:
    """A button of a message.

    Attributes:
        label: empty for a button with an emoji only.
        style: 1 blue, 2 grey, 3 green, 4 red, 5 link.
    """

    label: str
    custom_id: str | None
    emoji: str | None
    url: str | None
    disabled: bool
    style: int


class Reply:
    """A message of the bot, or the answer to something that a user did.

    What it shows is always what the message shows now, after all edits.

    Attributes:
        world: where it is.
        actor: whose answer it is; None for messages that were found in a channel.
    """

    def __init__(
        self, world: World, actor: Actor | None, message: Message | None, interaction: Interaction | None = None
    ) -> None:
        self.world = world
        self.actor = actor
        self._message = message
        self._interaction = interaction

    def __repr__(self) -> str:
        return f"<Reply {self.text!r}>" if self.has_message else "<Reply without a message>"

    # -- what is shown

    @property
    def has_message(self) -> bool:
        """Whether there is a message; a modal, or the bot's silent taking note, comes without."""
        return self._message is not None

    @property
    def message(self) -> Message:
        """The message as the stand-in keeps it."""
        assert self._message is not None, "the bot answered without a message"
        return self._message

    @property
    def id(self) -> int:
        """The message's id."""
        return self.message.id

    @property
    def channel(self) -> Channel:
        """Where the message stands."""
        return self.message.channel

    @property
    def author(self) -> User:
        """Who wrote the message."""
        return self.message.author

    @property
    def content(self) -> str:
        """The message's content alone."""
        return self.message.content

    @property
    def embeds(self) -> list[Json]:
        """The embeds that are shown, as Discord's answers hold them."""
        return [] if MessageFlag.SUPPRESS_EMBEDS in self.message.flags else self.message.embeds

    @property
    def components(self) -> list[Json]:
        """The message's components, as Discord's answers hold them."""
        return self.message.components

    @property
    def files(self) -> list[Attachment]:
        """The message's attachments: `.filename`, `.data`, `.description` (the alt text)."""
        return self.message.attachments

    @property
    def text(self) -> str:
        """All that there is to read: content, embeds from title to footer, text displays; a line each."""
        lines = [self.content]
        for embed in self.embeds:
            lines += [embed.get("author", {}).get("name", ""), embed.get("title", ""), embed.get("description", "")]
            for field in embed.get("fields", []):
                lines += [field["name"], field["value"]]
            lines.append(embed.get("footer", {}).get("text", ""))
        lines += [part["content"] for part in messages.walk(self.components) if part["type"] == TEXT_DISPLAY]
        return "\n".join(line for line in lines if line)

    @property
    def ephemeral(self) -> bool:
        """Whether only one user sees it."""
        return MessageFlag.EPHEMERAL in self.message.flags

    @property
    def thinking(self) -> bool:
        """Whether it still shows "thinking…"."""
        return self._message is not None and self._message.loading

    @property
    def deleted(self) -> bool:
        """Whether the message is gone."""
        return self.message.deleted

    @property
    def edits(self) -> int:
        """How often the message was changed."""
        return self.message.edits

    @property
    def buttons(self) -> list[Button]:
        """The message's buttons, in the order they are shown."""
        return [_button(part) for part in messages.walk(self.components) if part["type"] == BUTTON]

    @property
    def selects(self) -> list[Json]:
        """The message's selects, as Discord's answers hold them."""
        return [part for part in messages.walk(self.components) if part["type"] in SELECTS]

    @property
    def modal(self) -> Modal:
        """The modal that the bot answered with."""
        assert self._interaction is not None, "only an answer can be a modal"
        assert self._interaction.modal is not None, "the bot opened no modal"
        assert self.actor is not None
        return Modal(self.actor, self._interaction)

    @property
    def followups(self) -> list[Reply]:
        """What the bot sent after its first answer, oldest first, without what is deleted."""
        interaction = self._interaction
        assert interaction is not None, "only answers have follow-ups"
        found = self.world.run(lambda: [message for message in interaction.followups if not message.deleted])
        return [Reply(self.world, self.actor, message, interaction) for message in found]

    def visible_to(self, who: Actor) -> bool:
        """Say whether a user sees the message."""
        message = self.message
        if message.deleted:
            return False
        if message.ephemeral_to is not None:
            return message.ephemeral_to == who.id
        guild = message.channel.guild
        if guild is None:
            return who.user in message.channel.recipients
        member = guild.members.get(who.id)
        return member is not None and Permission.VIEW_CHANNEL in permissions_in(guild, member, message.channel)

    # -- waiting

    async def until(self, predicate: Callable[[Reply], bool], within: float = WAITS) -> Self:
        """Wait until the message is such that `predicate(reply)` holds.

        Raises:
            AssertionError: it did not become so in time.
        """
        done = await self.world.run_async(self.world.wait_until(lambda: bool(predicate(self)), within))
        assert done, f"after {within} s the message still reads {self.text!r}"
        return self

    async def settled(self, within: float = WAITS) -> Self:
        """Wait until nothing is "thinking…" and the bot has made no request for 50 ms.

        Raises:
            AssertionError: it still shows "thinking…" after `within`.
        """
        await self.until(lambda reply: not reply.thinking, within)
        await self.world.run_async(self.world.be_quiet(QUIET, within))
        return self

    async def followup(self, number: int = 0, within: float = WAITS) -> Reply:
        """Wait for a follow-up, the first one if no other is asked for, and return it."""
        interaction = self._interaction
        assert interaction is not None, "only answers have follow-ups"
        came = await self.world.run_async(
            self.world.wait_until(lambda: len(interaction.followups) > number, within),
        )
        assert came, f"the bot sent {len(interaction.followups)} follow-ups"
        return Reply(self.world, self.actor, interaction.followups[number], interaction)

    # -- doing

    async def click(self, button: str, *, by: Actor | None = None, settle: bool = True) -> Reply:
        """Press a button, found by its label, its emoji or its custom_id, and return the bot's answer.

        Raises:
            CannotDoThat: there is no such button, it is switched off, or the user does not see it.
            DidNotRespond: the bot said nothing within three seconds.
        """
        actor = self._actor(by)
        found = [part for part in messages.walk(self.components) if part["type"] == BUTTON]
        fitting = [part for part in found if button in (part.get("label"), part.get("custom_id"), _emoji(part))]
        if len(fitting) != 1:
            labels = [part.get("label") or _emoji(part) or part.get("custom_id") for part in found]
            raise CannotDoThat(f"there are {len(fitting)} buttons {button!r} among {labels}")
        if fitting[0]["style"] == LINK:
            raise CannotDoThat(f"{button!r} is a link; the bot never hears of it")
        return await self._use(actor, fitting[0], {}, settle)

    async def select(self, *values: Any, of: str | None = None, by: Actor | None = None, settle: bool = True) -> Reply:
        """Choose from a select and return the bot's answer.

        Args:
            values: labels or values of options; users, roles or channels where the select is of these.
            of: the select's placeholder or custom_id; may be left out where there is only one.
            by: who chooses; whose answer it is if left out.
            settle: wait for the end of "thinking…".

        Raises:
            CannotDoThat: there is no such select or option, too few or too many were chosen, and so on.
            DidNotRespond: the bot said nothing within three seconds.
        """
        actor = self._actor(by)
        fitting = [part for part in self.selects if of in (None, part.get("placeholder"), part["custom_id"])]
        if len(fitting) != 1:
            known = [part.get("placeholder") or part["custom_id"] for part in self.selects]
            raise CannotDoThat(f"there are {len(fitting)} selects {of!r} among {known}")
        resolved = invocation.Resolved(self.world, self.channel, actor.user)
        chosen = self.world.run(lambda: choose(fitting[0], values, resolved))
        extra: Json = {"values": chosen}
        if fitting[0]["type"] != STRING_SELECT:
            extra["resolved"] = resolved.data
        return await self._use(actor, fitting[0], extra, settle)

    def _actor(self, by: Actor | None) -> Actor:
        actor = by or self.actor
        if actor is None:
            raise CannotDoThat("say who does it: by=alice")
        if not self.visible_to(actor):
            raise CannotDoThat(f"{actor.name} does not see the message")
        return actor

    async def _use(self, actor: Actor, component: Json, extra: Json, settle: bool) -> Reply:
        if component.get("disabled"):
            raise CannotDoThat(f"{component.get('label') or component['custom_id']!r} is switched off")
        if self.author.id != self.world.bot.id:
            raise CannotDoThat("the message is not the bot's")
        data: Json = {
            "component_type": component["type"],
            "custom_id": component["custom_id"],
            "id": component["id"],
            **extra,
        }
        return await actor.interact(interactions.COMPONENT, data, self.channel, source=self.message, settle=settle)


class Modal:
    """A modal that is open in a user's client. It can be submitted once.

    Attributes:
        title: as shown.
        components: as the bot sent them.
    """

    def __init__(self, actor: Actor, interaction: Interaction) -> None:
        assert interaction.modal is not None
        self._actor = actor
        self._interaction = interaction
        self.title: str = interaction.modal["title"]
        self.custom_id: str = interaction.modal["custom_id"]
        self.components: list[Json] = interaction.modal["components"]

    @property
    def text(self) -> str:
        """All that there is to read: title, labels, descriptions, texts, and what is filled in already."""
        lines = [self.title]
        for part in messages.walk(self.components):
            lines += [str(part.get(key) or "") for key in ("label", "description", "content", "placeholder", "value")]
        return "\n".join(line for line in lines if line)

    @property
    def fields(self) -> dict[str, Json]:
        """What can be filled in, by label, or by custom_id where there is no label."""
        fields: dict[str, Json] = {}
        for top in self.components:
            for part in _inputs(top):
                fields[top.get("label") or part.get("label") or part["custom_id"]] = part
        return fields

    async def submit(self, values: Mapping[str, Any] | None = None, /, *, settle: bool = True, **named: Any) -> Reply:
        """Fill in and submit, and return the bot's answer.

        Args:
            values: by label or custom_id. Text for a text input; a list of labels, values, users, roles or channels for
                a select; a label or value for a radio group; a list of them for a checkbox group; True or False for a
                checkbox; a list of Upload for a file upload. What is left out stays as the bot filled it in.
            settle: wait for the end of "thinking…".
            named: the same, for names without spaces.

        Raises:
            CannotDoThat: a field is missing or does not take its value.
            DidNotRespond: the bot said nothing within three seconds.
        """
        from tests.standins.discord.filling import fill_modal

        given = {**(values or {}), **named}
        world, interaction = self._actor.world, self._interaction
        if interaction.modal_used:
            raise CannotDoThat("the modal was submitted already")
        resolved = invocation.Resolved(world, interaction.channel, self._actor.user)
        components = world.run(lambda: fill_modal(self.components, given, resolved))
        interaction.modal_used = True
        data: Json = {"custom_id": self.custom_id, "components": components}
        if resolved.data:
            data["resolved"] = resolved.data
        return await self._actor.interact(
            interactions.MODAL_SUBMIT,
            data,
            interaction.channel,
            source=interaction.source,
            opened_by=interaction,
            settle=settle,
        )


def choose(select: Json, values: tuple[Any, ...], resolved: invocation.Resolved) -> list[str]:
    """Return what a select sends for these values.

    Raises:
        CannotDoThat: an option is not there, or they are too few or too many.
    """
    where = str(select.get("placeholder") or select.get("custom_id"))
    low, high = select.get("min_values", 1), select.get("max_values", 1)
    if not low <= len(values) <= high:
        raise CannotDoThat(f"{where} takes {low} to {high} values, not {len(values)}")
    if select["type"] != STRING_SELECT:
        types = select.get("channel_types")
        kind = SELECTS[select["type"]]
        return [invocation.resolve_object(where, kind, value, resolved, types) for value in values]
    chosen = []
    for value in values:
        fitting = [o["value"] for o in select["options"] if value in (o["label"], o["value"])]
        if not fitting:
            raise CannotDoThat(f"{where} has no option {value!r}, only {[o['label'] for o in select['options']]}")
        chosen.append(str(fitting[0]))
    return chosen


def _inputs(top: Json) -> list[Json]:
    return [part for part in messages.walk([top]) if "custom_id" in part]


def _emoji(part: Json) -> str | None:
    return (part.get("emoji") or {}).get("name")


def _button(part: Json) -> Button:
    return Button(
        label=part.get("label") or "",
        custom_id=part.get("custom_id"),
        emoji=_emoji(part),
        url=part.get("url"),
        disabled=bool(part.get("disabled")),
        style=part["style"],
    )
