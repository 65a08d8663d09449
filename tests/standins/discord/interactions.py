"""Interactions: what a user does, and the one answer within three seconds that Discord takes for it.

https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.standins.discord import message_rules, messages, modal_rules
from tests.standins.discord.commands import CHAT_INPUT
from tests.standins.discord.errors import ApiError, FormErrors
from tests.standins.discord.model import Channel, Json, Message, MessageFlag, Upload, User
from tests.standins.discord.permissions import permissions_in

if TYPE_CHECKING:
    from tests.standins.discord.world import World

__all__ = ["DEADLINE", "TOKEN_LIFE", "Interaction", "create"]

DEADLINE = 3.0
"""Seconds for the first answer."""

TOKEN_LIFE = 15 * 60.0
"""Seconds for edits and follow-ups."""

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5

REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9

_ALLOWED = {
    COMMAND: {REPLY, DEFER, MODAL},
    COMPONENT: {REPLY, DEFER, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {REPLY, DEFER},
}

_CHAT_INPUT_MESSAGE, _MENU_MESSAGE = 20, 23


@dataclass(slots=True, eq=False)
class Interaction:
    """One thing that a user did.

    Attributes:
        type: 2 command, 3 component, 4 autocomplete, 5 modal.
        data: as the bot gets it.
        source: the message whose component was used, also for a modal that came of one.
        response: the type of the bot's answer, None while there is none.
        original: the message that `@original` names.
        followups: further messages, oldest first.
        edited: how often the bot changed `original` by this interaction's token.
        modal: what the user is shown, None for none.
        missed: the deadline passed without an answer.
    """

    world: World
    id: int
    token: str
    type: int
    data: Json
    user: User
    channel: Channel
    source: Message | None = None
    opened_by: Interaction | None = None
    created_at: float = 0.0
    response: int | None = None
    answered_after: float | None = None
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    edited: int = 0
    modal: Json | None = None
    modal_used: bool = False
    choices: list[Json] = field(default_factory=list)
    missed: bool = False
    reported: bool = False
    installed_by_user: bool = False

    @property
    def open(self) -> bool:
        """Whether the user still waits: for the first answer, or for the end of "thinking…"."""
        return (self.response is None and not self.missed) or self.thinking

    @property
    def thinking(self) -> bool:
        """Whether the client shows "thinking…"."""
        return self.original is not None and self.original.loading and not self.original.deleted

    @property
    def promised(self) -> bool:
        """Whether the bot took note and has shown nothing yet: neither a changed message nor one of its own."""
        if self.followups or self.original is None:
            return False
        return self.original.deleted if self.response == DEFER else self.response == DEFER_UPDATE and not self.edited

    @property
    def shown(self) -> Message | None:
        """The message that the person reads as the answer.

        A bot that needs a while defers first. What it has to say then comes as a message of its own where the deferred
        answer was taken away, or was only an update of the message that the component stands in.
        """
        if self.followups and self.original is not None:
            aside = self.original.deleted if self.response == DEFER else self.response == DEFER_UPDATE
            if aside and not self.edited:
                return self.followups[0]
        return self.original

    def report(self) -> None:
        """Note what is wrong with this interaction when the test is over."""
        if self.response is None and not self.missed:
            self.missed = True
            self.world.fault("unanswered", f"{self} was not answered")
        if self.thinking and not self.reported:
            self.reported = True
            self.world.fault("thinking", f'{self} still shows "thinking…"')

    def __str__(self) -> str:
        what = {COMMAND: "command", COMPONENT: "component", AUTOCOMPLETE: "autocomplete", MODAL_SUBMIT: "modal"}
        return f"{what[self.type]} {self.data.get('name') or self.data.get('custom_id')!r} of {self.user.name}"

    def payload(self) -> Json:
        """Return the data of INTERACTION_CREATE."""
        world, guild = self.world, self.channel.guild
        body: Json = {
            "id": str(self.id),
            "application_id": str(world.application_id),
            "type": self.type,
            "token": self.token,
            "version": 1,
            "data": self.data,
            "channel_id": str(self.channel.id),
            "channel": self.channel.payload(),
            "locale": self.user.locale,
            "entitlements": [],
            "attachment_size_limit": world.upload_limit,
            "authorizing_integration_owners": self.integration_owners(),
            "context": 0 if guild is not None else 1,
            "app_permissions": str(int(world.permissions_of_bot(self.channel))),
        }
        if guild is None:
            body["user"] = self.user.payload()
        else:
            member = guild.members[self.user.id]
            body["guild_id"] = str(guild.id)
            body["guild"] = {"id": str(guild.id), "locale": guild.locale, "features": []}
            body["guild_locale"] = guild.locale
            permissions = permissions_in(guild, member, self.channel)
            body["member"] = {**member.payload(), "permissions": str(int(permissions))}
            body["channel"]["permissions"] = body["member"]["permissions"]
        if self.source is not None:
            body["message"] = self.source.payload()
        return body

    def integration_owners(self) -> Json:
        """Return who installed the app: a guild, a user, or both."""
        guild = self.channel.guild
        return {"1": str(self.user.id)} if self.installed_by_user else {"0": "0" if guild is None else str(guild.id)}

    def metadata(self) -> Json:
        """Return what messages say of the interaction that made them."""
        body: Json = {
            "id": str(self.id),
            "type": self.type,
            "user": self.user.payload(),
            "authorizing_integration_owners": self.integration_owners(),
        }
        if self.type == COMPONENT and self.source is not None:
            body["interacted_message_id"] = str(self.source.id)
        if self.type == MODAL_SUBMIT and self.opened_by is not None:
            body["triggering_interaction_metadata"] = self.opened_by.metadata()
        return body

    # -- the bot's side

    @property
    def expired(self) -> bool:
        """Whether the token is no longer good."""
        return self.world.clock.now() - self.created_at > TOKEN_LIFE

    def respond(self, body: Json, files: dict[int, Upload]) -> None:
        """Take the first answer.

        Raises:
            ApiError: it comes too late (10062), is the second (40060), or does not fit (50035).
        """
        elapsed = self.world.clock.now() - self.created_at
        if self.missed or (self.response is None and elapsed > DEADLINE):
            raise ApiError(404, 10062)
        if self.response is not None:
            raise ApiError(400, 40060)
        kind = body.get("type")
        allowed = set(_ALLOWED[self.type])
        if self.type == MODAL_SUBMIT and self.source is not None:
            allowed |= {DEFER_UPDATE, UPDATE}
        if not isinstance(kind, int) or kind not in allowed:
            errors = FormErrors()
            errors.add(("type",), "BASE_TYPE_CHOICES", f"Value must be one of {sorted(allowed)}.")
            raise errors.as_error()
        data = body.get("data") or {}
        try:
            self._take(kind, data, files)
        except ApiError as error:
            if error.errors is not None and "data" not in error.errors and "_errors" not in error.errors:
                # Here a message is a part of the body, so the paths of its errors begin one level up.
                raise ApiError(error.status, error.code, errors={"data": error.errors}) from None
            raise
        self.response = kind
        self.answered_after = elapsed
        self.world.changed()

    def _take(self, kind: int, data: Json, files: dict[int, Upload]) -> None:
        if kind == REPLY:
            self.original = self._create(data, files)
        elif kind == DEFER:
            message_rules.check_flags(data, MessageFlag.EPHEMERAL)
            self.world.accept()
            ephemeral = MessageFlag(data.get("flags") or 0) & MessageFlag.EPHEMERAL
            self.original = self._store(messages.blank(self.world, self.channel, ephemeral | MessageFlag.LOADING))
        elif kind == DEFER_UPDATE:
            self.world.accept()
            self.original = self.source
        elif kind == UPDATE:
            assert self.source is not None
            messages.edit(self.world, self.source, data, files, by_interaction=True)
            self.original = self.source
        elif kind == CHOICES:
            choices = modal_rules.check_choices(data, self._focused_type())
            self.world.accept()
            self.choices = choices
        else:
            modal_rules.check_modal(data)
            self.world.accept()
            self.modal = messages.without_nulls(data)

    def callback_payload(self) -> Json:
        """Return the answer to `with_response=1`."""
        interaction: Json = {"id": str(self.id), "type": self.type}
        body: Json = {"interaction": interaction}
        if self.response in (REPLY, DEFER, UPDATE, DEFER_UPDATE) and self.original is not None:
            interaction["response_message_id"] = str(self.original.id)
            interaction["response_message_loading"] = self.original.loading
            interaction["response_message_ephemeral"] = self.original.ephemeral_to is not None
        if self.response in (REPLY, UPDATE) and self.original is not None:
            body["resource"] = {"type": self.response, "message": self.original.payload()}
        return body

    def follow_up(self, body: Json, files: dict[int, Upload]) -> Message:
        """Take a further message. The first one after "thinking…" becomes the answer itself."""
        self._check_token()
        if self.response is None:
            raise ApiError(404, 10015)
        if self.thinking and self.original is not None:
            # Documented, though deprecated: the loading message is edited, and stays as ephemeral as it was.
            messages.edit(self.world, self.original, body, files, by_interaction=True)
            return self.original
        if self.installed_by_user and len(self.followups) >= 5:
            raise ApiError(400, 40094)
        message = self._create(body, files)
        self.followups.append(message)
        self.world.changed()
        return message

    def edit(self, name: str, body: Json, files: dict[int, Upload]) -> Message:
        """Change `@original` or a follow-up."""
        message = self.message(name)
        messages.edit(self.world, message, body, files, by_interaction=True)
        if message is self.original:
            self.edited += 1
            self.world.changed()
        return message

    def message(self, name: str) -> Message:
        """Return a message that this token may change: `@original`, or by id.

        Raises:
            ApiError: 10008, 10015 or 50027.
        """
        self._check_token()
        if self.response is None:
            raise ApiError(404, 10015)
        mine = [self.original, *self.followups]
        for message in mine:
            if message is None or message.deleted:
                continue
            if (name == "@original" and message is self.original) or name == str(message.id):
                return message
        raise ApiError(404, 10008)

    def _check_token(self) -> None:
        if self.expired:
            raise ApiError(401, 50027)

    def _create(self, data: Json, files: dict[int, Upload]) -> Message:
        message, ping = messages.create(self.world, self.channel, data, files, by_interaction=True)
        return self._store(message, ping)

    def _store(self, message: Message, ping: messages.Ping | None = None) -> Message:
        message.interaction_id = self.id
        message.interaction_metadata = self.metadata()
        message.application_id = message.webhook_id = self.world.application_id
        if MessageFlag.EPHEMERAL in message.flags:
            message.ephemeral_to = self.user.id
        if self.type == COMMAND and self.response is None:
            message.type = _CHAT_INPUT_MESSAGE if self.data.get("type") == CHAT_INPUT else _MENU_MESSAGE
        self.world.store_message(message, ping=ping)
        return message

    def _focused_type(self) -> int:
        options = self.data.get("options", [])
        while options:
            for option in options:
                if option.get("focused"):
                    return int(option["type"])
            options = options[0].get("options", [])
        return 3


def create(
    world: World,
    type_: int,
    data: Json,
    user: User,
    channel: Channel,
    *,
    source: Message | None = None,
    opened_by: Interaction | None = None,
) -> Interaction:
    """Let a user do something: tell the bot and start the three seconds. Must run on the server's loop."""
    interaction = Interaction(
        world=world,
        id=world.snowflakes.make(),
        token=f"aW50ZXJhY3Rpb246{secrets.token_urlsafe(120)}",
        type=type_,
        data=data,
        user=user,
        channel=channel,
        source=source,
        opened_by=opened_by,
        created_at=world.clock.now(),
    )
    world.interactions[interaction.id] = interaction

    def judge() -> None:
        if interaction.response is None and not interaction.missed:
            interaction.missed = True
            world.fault("unanswered", f"{interaction} was not answered within {DEADLINE:.0f} s")

    world.later(DEADLINE, judge)
    world.gateway.dispatch("INTERACTION_CREATE", interaction.payload())
    return interaction
