"""The gateway: a websocket that tells the bot what happens, with sessions that outlive their connections.

https://discord.com/developers/docs/events/gateway
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode

from tests.standins.discord.model import Channel, Guild, Json, Message
from tests.standins.discord.permissions import Permission
from tests.standins.discord.sessions import PRIVILEGED, Connection, Intent, Op, Session, needed_intent
from tests.standins.discord.tls import RESUME_HOST

if TYPE_CHECKING:
    from tests.standins.discord.world import World

__all__ = ["Gateway", "Intent"]


class Gateway:
    """The gateway of one world, and its knobs.

    Attributes:
        heartbeat_interval: seconds, told in HELLO; a bot that misses one and a half of them is dropped.
        identify_window: seconds in which only one IDENTIFY is let through. Discord's is 5; 0 here, so that tests which
            start a bot twice do not wait for it.
        identifies_left: of the day's 1000.
        presences: what the bot said of itself, oldest first.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[str, Session] = {}
        self._last_identify = float("-inf")
        self._acks = True
        self._told: set[int] = set()
        self.heartbeat_interval = 10.0
        self.identify_window = 0.0
        self.identifies_left = 1000
        self.identifies = 0
        self.resumes = 0
        self.presences: list[Json] = []

    @property
    def connected(self) -> bool:
        """Whether a bot is connected and has had READY."""
        return any(session.connection is not None for session in self._sessions.values())

    @property
    def has_session(self) -> bool:
        """Whether there is a session, if only one to be resumed, that events are kept for."""
        return bool(self._sessions)

    # -- knobs

    def kill(self, code: int = 4000) -> None:
        """Close the bot's connections with a code. The sessions stay unless the code ends them."""

        def act() -> None:
            for connection in self._connections():
                self._close(connection, code, injected=True)

        self._world.run(act)

    def cut(self) -> None:
        """Break the bot's connections off without a word."""

        def act() -> None:
            for connection in self._connections():
                self._detach(connection)
                if connection.transport is not None:
                    connection.transport.abort()

        self._world.run(act)

    def reconnect(self) -> None:
        """Ask the bot to connect anew and resume (op 7)."""
        self._tell({"op": Op.RECONNECT, "d": None})

    def invalidate(self, resumable: bool = False) -> None:
        """Tell the bot that its session is invalid (op 9)."""
        self._tell({"op": Op.INVALID_SESSION, "d": resumable})
        if not resumable:
            self._world.run(self._sessions.clear)

    def outage(self, guild: Guild, *, over: bool = False) -> None:
        """Take a guild away as Discord does when its servers fail, or bring it back."""

        def act() -> None:
            guild.available = over
            if over:
                self.dispatch("GUILD_CREATE", guild.create_payload(self._world.bot.id), guild=guild)
            else:
                self.dispatch("GUILD_DELETE", {"id": str(guild.id), "unavailable": True}, guild=guild)

        self._world.run(act)

    def zombie(self, *, over: bool = False) -> None:
        """Stop answering heartbeats, or start again."""

        def act() -> None:
            self._acks = over

        self._world.run(act)

    def _tell(self, frame: Json) -> None:
        def act() -> None:
            for connection in self._connections():
                connection.send(frame)

        self._world.run(act)

    def _connections(self) -> list[Connection]:
        return [session.connection for session in self._sessions.values() if session.connection is not None]

    # -- events

    def dispatch(self, event: str, data: Json, *, guild: Guild | None = None, channel: Channel | None = None) -> None:
        """Send an event to each session whose intents and guilds include it."""
        where = guild if channel is None else channel.guild
        if where is not None and not where.has_bot:
            return
        needed = needed_intent(event, in_guild=where is not None)
        for session in self._sessions.values():
            if needed in session.intents:
                session.dispatch(event, data)

    def dispatch_message(self, event: str, message: Message) -> None:
        """Send an event about a message: only to a bot that sees the channel, without content where it may not read."""
        guild = message.channel.guild
        data = message.payload()
        if guild is not None:
            if not guild.has_bot or Permission.VIEW_CHANNEL not in self._world.permissions_of_bot(message.channel):
                return
            data["guild_id"] = str(guild.id)
            member = guild.members.get(message.author.id)
            if member is not None:
                data["member"] = member.payload(with_user=False)
        own = message.author.id == self._world.bot.id
        mentioned = any(user.id == self._world.bot.id for user in message.mentions)
        needed = needed_intent(event, in_guild=guild is not None)
        for session in self._sessions.values():
            if needed not in session.intents:
                continue
            may_read = own or mentioned or guild is None or Intent.MESSAGE_CONTENT in session.intents
            hidden: Json = {"content": "", "embeds": [], "attachments": [], "components": []}
            session.dispatch(event, data if may_read else {**data, **hidden})

    # -- the protocol

    def _close(self, connection: Connection, code: int, *, injected: bool = False) -> None:
        self._detach(connection)
        if not injected and code >= 4000:
            self._world.fault(f"close {code}", f"the gateway closed the bot's connection with {code}")
        connection.close(code)

    def _detach(self, connection: Connection) -> None:
        if connection.session is not None and connection.session.connection is connection:
            connection.session.connection = None
        self._world.changed()

    def lost(self, connection: Connection, code: int | None) -> None:
        """Note that a connection is gone. A bot that says goodbye (1000, 1001) ends its session."""
        self._detach(connection)
        if connection.closing:
            return
        if connection.session is not None and code in (WSCloseCode.OK, WSCloseCode.GOING_AWAY):
            self._sessions.pop(connection.session.id, None)

    def identify(self, connection: Connection, data: Json) -> None:
        """Begin a session: READY, then the guilds."""
        now = asyncio.get_running_loop().time()
        intents = data.get("intents")
        if not isinstance(intents, int) or intents & ~sum(Intent):
            return self._close(connection, 4013)
        if intents & PRIVILEGED & ~self._world.portal_intents:
            return self._close(connection, 4014)
        if data.get("shard", [0, 1]) != [0, 1]:
            return self._close(connection, 4010)
        if now - self._last_identify < self.identify_window or self.identifies_left <= 0:
            return connection.send({"op": Op.INVALID_SESSION, "d": False})
        self._last_identify = now
        self.identifies_left -= 1
        self.identifies += 1
        session = Session(secrets.token_hex(16), Intent(intents), connection)
        connection.session = session
        self._sessions[session.id] = session
        self._note_presence(data.get("presence"))
        world = self._world
        guilds = [guild for guild in world.guilds.values() if guild.has_bot]
        session.dispatch(
            "READY",
            {
                "v": 10,
                "user": {**world.bot.payload(), "verified": True, "mfa_enabled": False, "email": None},
                "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
                "session_id": session.id,
                "session_type": "normal",
                "resume_gateway_url": f"wss://{RESUME_HOST}",
                "application": {"id": str(world.application_id), "flags": 0},
                "private_channels": [],
                "relationships": [],
                "user_settings": {},
                "presences": [],
                "guild_join_requests": [],
                "geo_ordered_rtc_regions": [],
                "shard": [0, 1],
            },
        )
        if Intent.GUILDS in session.intents:
            for guild in guilds:
                if guild.available:
                    session.dispatch("GUILD_CREATE", guild.create_payload(world.bot.id))
        world.changed()
        return None

    def resume(self, connection: Connection, data: Json) -> None:
        """Take a session up again: what was missed, then RESUMED."""
        session = self._sessions.get(str(data.get("session_id")))
        if session is None:
            return connection.send({"op": Op.INVALID_SESSION, "d": False})
        seq = data.get("seq")
        if not isinstance(seq, int) or seq > session.seq:
            return self._close(connection, 4007)
        if session.connection is not None:
            session.connection.close(4000)
        session.connection = connection
        connection.session = session
        self.resumes += 1
        for frame in [frame for frame in session.buffer if frame["s"] > seq]:
            connection.send(frame)
        session.dispatch("RESUMED", {})
        self._world.changed()
        return None

    def received(self, connection: Connection, frame: Json) -> None:
        """Answer one frame of the bot, after it has been identified as this world's."""
        op, data = frame.get("op"), frame.get("d")
        if op == Op.HEARTBEAT:
            connection.last_heartbeat = asyncio.get_running_loop().time()
            if self._acks:
                connection.send({"op": Op.HEARTBEAT_ACK, "d": None})
        elif op == Op.IDENTIFY and isinstance(data, dict):
            if connection.session is not None:
                self._close(connection, 4005)
            else:
                self.identify(connection, data)
        elif op == Op.RESUME and isinstance(data, dict):
            self.resume(connection, data)
        elif connection.session is None:
            self._close(connection, 4003)
        elif op == Op.PRESENCE and isinstance(data, dict):
            self._note_presence(data)
        elif op == Op.REQUEST_MEMBERS and isinstance(data, dict):
            self._members(connection.session, data)
        elif op == Op.VOICE_STATE:
            self._world.fault("stand-in", "the stand-in does not know voice")
        else:
            self._close(connection, 4001)

    def reject(self, connection: Connection, code: int) -> None:
        """Close a connection over a frame that Discord does not take."""
        self._close(connection, code)

    def _note_presence(self, presence: Json | None) -> None:
        if presence is not None:
            self.presences.append(presence)
            self._world.changed()

    def _members(self, session: Session, data: Json) -> None:
        guild = self._world.guilds.get(int(data["guild_id"]))
        if guild is None or not guild.has_bot:
            return
        wanted = data.get("user_ids") or []
        ids = {int(one) for one in (wanted if isinstance(wanted, list) else [wanted])}
        query = str(data.get("query", "")).lower()
        if not ids and not query and Intent.GUILD_MEMBERS not in session.intents:
            self._world.fault("members", "the whole member list takes the GUILD_MEMBERS intent")
            return
        found = [
            member.payload()
            for member in guild.members.values()
            if (member.user.id in ids if ids else member.user.name.lower().startswith(query))
        ]
        chunk: Json = {"guild_id": str(guild.id), "members": found, "chunk_index": 0, "chunk_count": 1}
        if "nonce" in data:
            chunk["nonce"] = data["nonce"]
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk)
