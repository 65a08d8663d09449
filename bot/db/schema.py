"""The tables.

Times are unix seconds in UTC, in columns that end in `_at`: the same integer on SQLite and PostgreSQL, with no zone to
get wrong. Durations are seconds. Counts that a file's layout does not have are NULL, never 0.

`processed_files` is the ledger: one row per (server, file name), with its state. `file_contents` holds the raw bytes
once per SHA-256, so that every fact can be computed again without archive or network. All other tables about play
(`sessions`, `matches`, `rounds`, `player_rounds`, `player_weapons`, `players`, `player_names`, `awards`,
`award_opponents`) are derived from those two.

`destinations` and `mirror_objects` say what the ledger believes of the copies in object stores: one row for each
destination, and one for each file at each of them.

`jobs` is work that somebody asked for, and `snapshots` which copies of this database went where.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives a rowid only to a column declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

properties = Table(
    "properties",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="what the database says about itself, such as the counting rules its rows were made with",
)

servers = Table(
    "servers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("time_zone", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

file_contents = Table(
    "file_contents",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", Integer, nullable=False, comment="bytes before compression"),
    Column("raw", LargeBinary, nullable=False, comment="zlib"),
    sqlite_with_rowid=False,
)

FILE_STATES = ("growing", "fetched", "imported", "failed", "ignored")

processed_files = Table(
    "processed_files",
    metadata,
    Column("id", Id, primary_key=True),
    Column("server_id", ForeignKey("servers.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, comment="why failed or ignored, for a person"),
    Column("sha256", ForeignKey("file_contents.sha256"), index=True),
    Column("size", BigInteger, comment="bytes of the content; of the last listing while growing"),
    Column("remote_mtime", BigInteger, comment="as the server listed it; NULL for a file that came from a folder"),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", BigInteger, comment="NULL in state failed: parked, waits for a person"),
    Column("first_seen_at", BigInteger, nullable=False),
    Column("fetched_at", BigInteger),
    Column("imported_at", BigInteger),
    Column("gone_at", BigInteger, comment="when the server stopped listing it; nothing here is deleted for it"),
    Column("parser_version", Integer),
    UniqueConstraint("server_id", "name"),
    CheckConstraint("state IN ('growing', 'fetched', 'imported', 'failed', 'ignored')", name="state"),
    # The whole memory layer is read from this index alone, also with 300,000 files.
    Index("ix_processed_files_memory", "server_id", "name", "state", "size", "remote_mtime", "next_try_at", "gone_at"),
    Index("ix_processed_files_state", "state", "server_id"),
    sqlite_autoincrement=True,
)

file_versions = Table(
    "file_versions",
    metadata,
    Column("server_id", ForeignKey("servers.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", ForeignKey("file_contents.sha256"), primary_key=True, index=True),
    Column("replaced_at", BigInteger, nullable=False),
    comment="earlier contents of a file that changed on the server after it was imported",
)

players = Table(
    "players",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True, comment="GUID8; for bots and empty GUIDs with the name"),
    Column("guid", Text, nullable=False, index=True),
    Column("name", Text, nullable=False, index=True, comment="the latest one, colour codes removed"),
    Column("is_bot", Boolean, nullable=False),
    Column("first_seen_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
)

player_names = Table(
    "player_names",
    metadata,
    Column("player_id", ForeignKey("players.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("first_seen_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Index("ix_player_names_name", "name"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("server_id", ForeignKey("servers.id"), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("counted", Boolean, nullable=False, comment="false: only bots, filler maps or too few people"),
    Index("ix_sessions_server_id_started_at", "server_id", "started_at"),
    Index("ix_sessions_server_id_ended_at", "server_id", "ended_at"),
    Index("ix_sessions_ended_at", "ended_at"),
)

matches = Table(
    "matches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("server_id", ForeignKey("servers.id"), nullable=False),
    Column("key", Text, nullable=False, comment="first round's local time and map"),
    Column("map_name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("result", Text, comment="r1_attackers, r2_attackers or draw; NULL where undecided"),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    UniqueConstraint("server_id", "key"),
    CheckConstraint("status IN ('complete', 'unfinished', 'orphan')", name="status"),
    Index("ix_matches_map_name_ended_at", "map_name", "ended_at"),
    # Lists of what came last, over all game servers.
    Index("ix_matches_ended_at", "ended_at"),
)

_FLAWED_ROUND = text("excluded IS NOT NULL OR flags <> ''")

rounds = Table(
    "rounds",
    metadata,
    Column("id", Id, primary_key=True),
    Column("server_id", ForeignKey("servers.id"), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("sha256", ForeignKey("file_contents.sha256"), nullable=False, index=True),
    Column("session_id", ForeignKey("sessions.id"), index=True),
    Column("match_id", ForeignKey("matches.id"), index=True),
    Column("base_round_id", ForeignKey("rounds.id"), index=True, comment="round 1 that was taken off this round 2"),
    Column("base_sha256", Text, comment="content of that round 1 when this row was computed"),
    Column("number", SmallInteger, nullable=False, comment="1 or 2 as played"),
    Column("map_name", Text, nullable=False, comment="lower case"),
    Column("config", Text, nullable=False),
    Column("host_name", Text, nullable=False),
    Column("defender", SmallInteger, nullable=False),
    Column("winner", SmallInteger, nullable=False),
    Column("attackers_completed", Boolean),
    Column("time_limit", Integer),
    Column("next_time_limit", Integer),
    Column("seconds", Integer),
    Column("seconds_from", Text),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("stamp", Text, nullable=False, comment="server local time of the file name, ISO 8601"),
    Column("layout", SmallInteger),
    Column("axis", SmallInteger, nullable=False, comment="people on the side, bots not counted"),
    Column("allies", SmallInteger, nullable=False),
    Column("bots", SmallInteger, nullable=False),
    Column("flags", Text, nullable=False, comment="sorted, separated by spaces"),
    Column("excluded", Text, comment="why the round is kept out of the statistics; NULL: it counts"),
    Column("parser_version", Integer, nullable=False),
    UniqueConstraint("server_id", "file_name"),
    Index("ix_rounds_server_id_ended_at", "server_id", "ended_at"),
    Index("ix_rounds_map_name_ended_at", "map_name", "ended_at"),
    Index("ix_rounds_ended_at", "ended_at"),
    # Which rounds are in no records, and why, is told without a look at the many that are.
    Index(
        "ix_rounds_flawed",
        "excluded",
        "flags",
        "session_id",
        "server_id",
        "map_name",
        sqlite_where=_FLAWED_ROUND,
        postgresql_where=_FLAWED_ROUND,
    ),
)

player_rounds = Table(
    "player_rounds",
    metadata,
    Column("round_id", ForeignKey("rounds.id"), primary_key=True),
    Column("line", SmallInteger, primary_key=True, comment="line of the file"),
    Column("player_id", ForeignKey("players.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_raw", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("rounds", Integer, nullable=False, comment="the engine's counter, as in the file"),
    Column("team", SmallInteger, nullable=False, comment="side: 1 Axis, 2 Allies"),
    Column("time_played", Integer, nullable=False, comment="seconds on a team"),
    Column("alive_percent", Float),
    *(
        Column(name, Integer, nullable=False)
        for name in (
            "kills",
            "deaths",
            "hits",
            "shots",
            "headshot_hits",
            "accuracy_hits",
            "accuracy_shots",
            "accuracy_headshots",
            "damage_given",
            "damage_received",
            "team_damage_given",
            "team_damage_received",
            "gibs",
            "self_kills",
            "team_kills",
            "team_gibs",
            "xp",
            "killing_spree",
            "death_spree",
            "kill_assists",
            "kill_steals",
            "headshot_kills",
            "objectives_stolen",
            "objectives_returned",
            "dynamites_planted",
            "dynamites_defused",
            "times_revived",
            "useful_kills",
        )
    ),
    *(
        Column(name, Integer)
        for name in (
            "denied_playtime",
            "multikill_2",
            "multikill_3",
            "multikill_4",
            "multikill_5",
            "multikill_6",
            "useless_kills",
            "full_selfkills",
            "repairs",
            "revives_given",
        )
    ),
    Index("ix_player_rounds_player_id_round_id", "player_id", "round_id"),
    sqlite_with_rowid=False,
)

player_weapons = Table(
    "player_weapons",
    metadata,
    Column("round_id", Id, primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("weapon", SmallInteger, primary_key=True, comment="bit of the weapon mask, 0..27"),
    Column("hits", Integer, nullable=False),
    Column("shots", Integer, nullable=False),
    Column("kills", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),
    Column("headshots", Integer, nullable=False),
    ForeignKeyConstraint(["round_id", "line"], ["player_rounds.round_id", "player_rounds.line"]),
    sqlite_with_rowid=False,
)

KEPT_SUMS = (
    "rounds",
    "matches_won",
    "matches_lost",
    "matches_drawn",
    "time_played",
    "kills",
    "deaths",
    "accuracy_hits",
    "accuracy_shots",
    "accuracy_headshots",
    "damage_given",
    "damage_received",
    "team_damage_given",
    "team_damage_received",
    "gibs",
    "self_kills",
    "team_kills",
    "team_gibs",
    "xp",
    "killing_spree",
    "kill_assists",
    "kill_steals",
    "headshot_kills",
    "objectives_stolen",
    "objectives_returned",
    "dynamites_planted",
    "dynamites_defused",
    "times_revived",
    "useful_kills",
    "denied_time",
    "revives_rounds",
    "repairs_rounds",
    "alive_time",
)
KEPT_SUMS_OF_SOME_LAYOUTS = (
    "alive_seconds",
    "denied_playtime",
    "useless_kills",
    "full_selfkills",
    "revives_given",
    "repairs",
    "multikill_2",
    "multikill_3",
    "multikill_4",
    "multikill_5",
    "multikill_6",
)
"""Sums that no round may have; `alive_seconds` has decimals."""


def _kept_sums() -> list[Column[Any]]:
    return [
        *(Column(name, Integer, nullable=False) for name in KEPT_SUMS),
        *(Column(name, Float if name == "alive_seconds" else Integer) for name in KEPT_SUMS_OF_SOME_LAYOUTS),
    ]


player_totals = Table(
    "player_totals",
    metadata,
    Column("player_id", Id, primary_key=True, autoincrement=False),
    Column("session_id", Id, primary_key=True, autoincrement=False, index=True),
    Column("map_name", Text, primary_key=True),
    Column("server_id", Id, nullable=False),
    *_kept_sums(),
    sqlite_with_rowid=False,
    comment="sums of a player's counted rounds by session and map; made from player_rounds, can be rebuilt",
)

player_lifetimes = Table(
    "player_lifetimes",
    metadata,
    Column("player_id", Id, primary_key=True, autoincrement=False),
    Column("server_id", Id, primary_key=True, autoincrement=False),
    Column("map_name", Text, primary_key=True),
    *_kept_sums(),
    sqlite_with_rowid=False,
    comment="sums of a player's counted rounds by server and map; made from player_totals, can be rebuilt",
)

_WEAPON_SUMS = ("hits", "shots", "kills", "deaths", "headshots")

player_weapon_totals = Table(
    "player_weapon_totals",
    metadata,
    Column("player_id", Id, primary_key=True, autoincrement=False),
    Column("session_id", Id, primary_key=True, autoincrement=False, index=True),
    Column("map_name", Text, primary_key=True),
    Column("weapon", SmallInteger, primary_key=True),
    Column("server_id", Id, nullable=False),
    *(Column(name, Integer, nullable=False) for name in _WEAPON_SUMS),
    sqlite_with_rowid=False,
    comment="sums of a player's weapons over counted rounds by session and map; made from player_weapons",
)

player_weapon_lifetimes = Table(
    "player_weapon_lifetimes",
    metadata,
    Column("map_name", Text, primary_key=True, comment="empty: over all maps"),
    Column("weapon", SmallInteger, primary_key=True, autoincrement=False),
    Column("player_id", Id, primary_key=True, autoincrement=False, index=True),
    Column("server_id", Id, primary_key=True, autoincrement=False),
    *(Column(name, Integer, nullable=False) for name in _WEAPON_SUMS),
    sqlite_with_rowid=False,
    comment="sums of a player's weapons over counted rounds by server and map; made from player_weapon_totals",
)

KEPT_BESTS = (
    "kills",
    "dpm",
    "damage",
    "kd",
    "headshots",
    "headshot_percent",
    "accuracy",
    "killing_spree",
    "revives",
    "gibs",
    "assists",
    "denied_per_minute",
    "xp",
    "objectives",
)
"""The metrics that there are records of."""

session_bests = Table(
    "session_bests",
    metadata,
    Column("grain", Text, primary_key=True, comment="over how much a value is: round, match or session"),
    Column("map_name", Text, primary_key=True, comment="empty: over all maps of the session"),
    Column("session_id", Id, primary_key=True, autoincrement=False, index=True),
    Column("server_id", Id, nullable=False),
    *(Column(name, Float, comment="NULL: nobody's can be a record") for name in KEPT_BESTS),
    sqlite_with_rowid=False,
    comment="the best that anybody reached in a session, where records are looked for; made from player_rounds",
)

KEPT_MAP_SUMS = (
    "rounds",
    "first_completed",
    "first_held",
    "first_gave_up",
    "first_undecided",
    "first_seconds",
    "second_completed",
    "second_held",
    "second_gave_up",
    "second_undecided",
    "second_seconds",
    "won_by_r1_attackers",
    "won_by_r2_attackers",
    "draws",
)
"""What is added up of a map: attacks by round and end, the seconds of the won ones, complete matches by result."""

map_totals = Table(
    "map_totals",
    metadata,
    Column("map_name", Text, primary_key=True),
    Column("session_id", Id, primary_key=True, autoincrement=False, index=True),
    Column("server_id", Id, nullable=False),
    *(Column(name, Integer, nullable=False) for name in KEPT_MAP_SUMS),
    Column("last_played_at", BigInteger, nullable=False, comment="when the latest of the rounds ended"),
    sqlite_with_rowid=False,
    comment="sums of a map's counted rounds by session; made from rounds, can be rebuilt",
)

KEPT_TABLES = (
    player_totals,
    player_lifetimes,
    player_weapon_totals,
    player_weapon_lifetimes,
    session_bests,
    map_totals,
)
"""What is kept ready for questions: all of it can be made anew from the other tables."""

awards = Table(
    "awards",
    metadata,
    Column("server_id", ForeignKey("servers.id"), primary_key=True),
    Column("file_name", Text, primary_key=True),
    Column("line", SmallInteger, primary_key=True, comment="line of the file"),
    Column("round_id", ForeignKey("rounds.id"), index=True, comment="NULL until the round's own file is here"),
    Column("player_id", ForeignKey("players.id"), index=True, comment="NULL where the name is not in the round"),
    Column("player_name", Text, nullable=False),
    Column("award", Text, nullable=False),
    Column("value", Float),
    Column("unit", Text),
    Column("text", Text, nullable=False, comment="the value as written"),
    Column("doubtful", Boolean, nullable=False, comment="the writer may have printed it under another award's title"),
)

award_opponents = Table(
    "award_opponents",
    metadata,
    Column("server_id", ForeignKey("servers.id"), primary_key=True),
    Column("file_name", Text, primary_key=True),
    Column("line", SmallInteger, primary_key=True, comment="line of the file"),
    Column("subject_name", Text, comment="NULL in older files, which do not say whose opponents these are"),
    Column("subject_guid", Text),
    Column("opponent_name", Text, nullable=False),
    Column("kills", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, comment="what is announced; with the kind it is unique, so it is said once"),
    Column("server_id", ForeignKey("servers.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    UniqueConstraint("kind", "key"),
    Index("ix_outbox_sent_at_id", "sent_at", "id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("details", Text),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column(
        "token", BigInteger, nullable=False, comment="grows with every new holder; a write with an older one is refused"
    ),
    Column("expires_at", BigInteger, nullable=False),
)

destinations = Table(
    "destinations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("enabled_at", BigInteger, nullable=False, comment="since when files go there; older ones are backfill"),
    Column("paused_at", BigInteger, comment="NULL: not paused"),
    Column("capabilities", Text, comment="JSON, what the probe found out; NULL: nothing was ever copied there"),
    Column("last_ok_at", BigInteger, comment="when it last did what it was asked"),
    Column("last_listing_at", BigInteger, comment="when a listing last came to its end"),
    Column("listed_objects", BigInteger, comment="objects in that listing"),
    Column("listed_bytes", BigInteger),
    Column("foreign_objects", BigInteger, comment="objects in that listing that are no copies of ours"),
    Column("last_error", Text),
    Column("last_error_code", Text),
    Column("last_error_at", BigInteger),
    Column("failures", Integer, nullable=False, default=0, comment="in a row; 0: it works"),
    Column("failing_since", BigInteger, comment="the first of them: one incident has one beginning"),
    Column("next_try_at", BigInteger, comment="nothing is sent before, unless a person asks"),
    Column("rate", Float, comment="files a second, weighted towards the latest; NULL: never measured"),
    Column("rate_spread", Float, comment="how far the samples lie from it"),
    Column("rate_samples", Integer, nullable=False, default=0),
)

OBJECT_STATES = ("pending", "uploading", "present", "verified", "missing", "differs", "failed", "excluded")

mirror_objects = Table(
    "mirror_objects",
    metadata,
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True),
    Column("server_id", ForeignKey("servers.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key", Text, nullable=False, comment="below the destination's prefix"),
    Column("sha256", Text, nullable=False, comment="of the content that is to be there"),
    Column("size", BigInteger, nullable=False, comment="bytes"),
    Column("state", Text, nullable=False),
    Column("reason", Text, comment="why it is in this state, for a person"),
    Column("error_code", Text),
    Column("tries", Integer, nullable=False, default=0, comment="uploads that failed in a row"),
    Column("next_try_at", BigInteger),
    Column("queued_at", BigInteger, nullable=False),
    Column("uploaded_at", BigInteger, comment="NULL: it was there before we looked, or is not there"),
    Column("listed_at", BigInteger, comment="first listing that showed it; every one since has, or see missing_since"),
    Column("verified_at", BigInteger, comment="when a hash was last compared"),
    Column("etag", Text, comment="the store's mark of that content"),
    Column("proof", Text, comment="what speaks for the store having these bytes: sent, metadata, etag or read"),
    Column("missing_since", BigInteger, comment="first listing that did not show it"),
    Column("read_at", BigInteger, comment="when its bytes were last read back there and compared"),
    CheckConstraint(
        "state IN ('pending', 'uploading', 'present', 'verified', 'missing', 'differs', 'failed', 'excluded')",
        name="state",
    ),
    Index("ix_mirror_objects_server_id_name", "server_id", "name"),
    # The queue of one destination, newest files first, and the counts of its states.
    Index("ix_mirror_objects_queue", "destination_id", "state", "name"),
    sqlite_with_rowid=False,
)


JOB_STATES = ("queued", "running", "done", "failed", "cancelled", "interrupted")
_ACTIVE_JOB = text("state IN ('queued', 'running')")

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True, comment="UUID: the task id that a person gets"),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, comment="kind and arguments: of one key, one job is active at a time"),
    Column("arguments", Text, nullable=False, comment="JSON"),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("heartbeat_at", BigInteger, comment="when the process that has it was last heard of"),
    Column("holder", Text, comment="the process that has it; NULL: none has taken it yet"),
    Column("attempt", Integer, nullable=False, comment="grows where a process died with it and it is tried again"),
    Column("resumed_as", Text, comment="the job that goes on where this one was interrupted"),
    Column("cancel_actor", Text, comment="who asked for its end"),
    Column("progress_done", BigInteger, nullable=False),
    Column("progress_total", BigInteger, comment="NULL: not known"),
    Column("stage", Text, nullable=False),
    Column("result", Text, comment="JSON"),
    Column("error", Text, comment="why it failed, for a person"),
    CheckConstraint(
        "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')",
        name="state",
    ),
    Index("uq_jobs_active_key", "key", unique=True, sqlite_where=_ACTIVE_JOB, postgresql_where=_ACTIVE_JOB),
    Index("ix_jobs_created_at_id", "created_at", "id"),
    Index("ix_jobs_kind_created_at", "kind", "created_at"),
    Index("ix_jobs_state", "state"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Id, primary_key=True),
    Column("destination_id", ForeignKey("destinations.id"), nullable=False),
    Column("slot", Text, nullable=False, comment="such as daily-3; each is written over in its turn"),
    Column("taken_at", BigInteger, nullable=False, comment="the moment that the snapshot shows"),
    Column("stored_at", BigInteger, comment="when it was proven to be there; NULL: it did not get there"),
    Column("sha256", Text, nullable=False, comment="of what was sent"),
    Column("size", BigInteger, nullable=False, comment="bytes of what was sent"),
    Column("schema_revision", Text, nullable=False),
    Column("error", Text, comment="why it did not get there"),
    Index("ix_snapshots_destination_id_taken_at", "destination_id", "taken_at"),
)

inspections = Table(
    "inspections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("destination_id", ForeignKey("destinations.id"), nullable=False),
    Column("taken_at", BigInteger, nullable=False, comment="when it first looked like this"),
    Column(
        "as_of", BigInteger, nullable=False, comment="when it last looked like this; later looks that agree move it"
    ),
    Column("basis", Text, nullable=False, comment="what looked: cycle, inspect or reconcile"),
    Column("state", Text, nullable=False),
    Column("error", Text, comment="NULL in state ok"),
    Column("error_code", Text),
    Column("seconds", Float, comment="how long the listing took"),
    Column("objects", BigInteger, comment="NULL unless the state is ok, as are all numbers"),
    Column("bytes", BigInteger),
    Column("oldest_at", BigInteger, comment="when the store got its oldest object"),
    Column("newest_at", BigInteger),
    Column("prefixes", Text, comment="JSON: objects and bytes by the first part of the key"),
    Column("deep", Text, comment="JSON: what only a deep look tells; NULL: there was none"),
    CheckConstraint(
        "state IN ('ok', 'auth', 'not_found', 'unreachable', 'package_missing', 'incomplete', 'refused')", name="state"
    ),
    Index("ix_inspections_destination_id_as_of", "destination_id", "as_of"),
    comment="what was seen of a destination by looking at it; numbers here are never derived from the ledger",
)

reconcile_runs = Table(
    "reconcile_runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("destination_id", ForeignKey("destinations.id"), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("ended", Text, nullable=False),
    Column("actor", Text, nullable=False, comment="who asked: schedule, cli:NAME, discord:ID or web:NAME"),
    Column("listed_objects", BigInteger, comment="NULL where no listing came to its end"),
    Column("listed_bytes", BigInteger),
    Column("before", Text, nullable=False, comment="JSON: files by state in the ledger, and what was tracked"),
    Column("after", Text, nullable=False, comment="JSON: the same after it, with objects that are extra"),
    Column("causes", Text, nullable=False, comment="JSON: differences by cause"),
    Column("repaired", Integer, nullable=False, comment="rows of the ledger that were put right"),
    Column("error", Text, comment="why it failed, for a person"),
    Column("error_code", Text),
    Column("doubt", Text, comment="why nothing was concluded from the listing"),
    Column("differences", LargeBinary, nullable=False, comment="zlib of JSON: every difference by name"),
    CheckConstraint("ended IN ('done', 'failed', 'doubtful')", name="ended"),
    Index("ix_reconcile_runs_destination_id_id", "destination_id", "id"),
    Index("ix_reconcile_runs_destination_id_started_at", "destination_id", "started_at"),
    comment="every comparison of ledger and listing; rows are added and never changed",
)

source_conditions = Table(
    "source_conditions",
    metadata,
    Column("server_id", ForeignKey("servers.id"), primary_key=True),
    Column("last_ok_at", BigInteger, comment="when the game server last answered a poll"),
    Column("last_listing_at", BigInteger, comment="when its folder was last listed"),
    Column("listed_files", Integer, comment="stats files in that listing"),
    Column("suspicious", Text, comment="why absence from that listing is not believed"),
    Column("last_error", Text),
    Column("last_error_code", Text),
    Column("last_error_at", BigInteger),
    Column("failures", Integer, nullable=False, default=0, comment="in a row; 0: it works"),
    Column("failing_since", BigInteger, comment="the first of them"),
    comment="how polls of each game server went, as the running bot notes it",
)

INCIDENT_STATES = ("suspected", "open", "closed")

incidents = Table(
    "incidents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False, comment="the cause: PLACE:NAME:CODE"),
    Column("live_key", Text, unique=True, comment="the key until it is closed: one live incident for each cause"),
    Column("state", Text, nullable=False),
    Column("colour", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("command", Text, comment="what mends it; NULL where nothing has to be done by hand"),
    Column("began_at", BigInteger, nullable=False, comment="since when it is so, which may be before it was seen"),
    Column("first_seen_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("sightings", Integer, nullable=False),
    Column("opened_at", BigInteger, comment="when people were to be told"),
    Column("reminded_at", BigInteger),
    Column("clear_since", BigInteger, comment="first look that did not see it; it has to stay so before it is over"),
    Column("closed_at", BigInteger),
    CheckConstraint("state IN ('suspected', 'open', 'closed')", name="state"),
    Index("ix_incidents_key_closed_at", "key", "closed_at"),
)

incident_messages = Table(
    "incident_messages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", ForeignKey("incidents.id"), nullable=False),
    Column("notifier", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", Integer, nullable=False, comment="counts the messages of one kind about one incident"),
    Column("created_at", BigInteger, nullable=False),
    Column("delivery", Text, comment="key of the delivery it is part of; the same when that is tried again"),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", BigInteger),
    Column("last_error", Text),
    Column("sent_at", BigInteger),
    Column("dropped_at", BigInteger, comment="overtaken by a later message before it was sent"),
    Column("reference", Text, comment="the notifier's own name of what it posted, for editing it"),
    CheckConstraint("kind IN ('opened', 'changed', 'reminder', 'recovered')", name="kind"),
    UniqueConstraint("incident_id", "notifier", "kind", "number"),
    Index("ix_incident_messages_queue", "sent_at", "dropped_at", "next_try_at"),
    comment="what people are told of incidents: written with the decision, sent afterwards",
)

alert_mutes = Table(
    "alert_mutes",
    metadata,
    Column("pattern", Text, primary_key=True, comment="an incident's key, or a shell pattern on it"),
    Column("muted_at", BigInteger, nullable=False),
    Column("until_at", BigInteger, comment="NULL: until it is lifted"),
    Column("actor", Text, nullable=False),
)


web_sessions = Table(
    "web_sessions",
    metadata,
    Column("token_hash", Text, primary_key=True, comment="SHA-256 of the cookie; the cookie itself is nowhere here"),
    Column("user_key", Text, nullable=False, index=True, comment="who, as in audit: discord:ID or link:ID"),
    Column("name", Text, nullable=False, comment="to greet them by"),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    CheckConstraint("role IN ('viewer', 'admin')", name="role"),
)

web_logins = Table(
    "web_logins",
    metadata,
    Column("token_hash", Text, primary_key=True, comment="SHA-256 of the link's token, or of OAuth's state"),
    Column("kind", Text, nullable=False),
    Column("browser_hash", Text, comment="SHA-256 of the cookie of the browser that began it"),
    Column("verifier", Text, comment="PKCE"),
    Column("next_path", Text, comment="where to go afterwards"),
    Column("role", Text),
    Column("made_by", Text),
    Column("expires_at", BigInteger, nullable=False, index=True),
    CheckConstraint("kind IN ('link', 'oauth')", name="kind"),
)

web_keys = Table(
    "web_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, comment="what it is for"),
    Column("key_hash", Text, nullable=False, unique=True, comment="SHA-256; the key itself is shown once"),
    Column("hint", Text, nullable=False, comment="its first characters, to tell keys apart"),
    Column("scopes", Text, nullable=False, comment="sorted, separated by spaces"),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger, comment="to the hour"),
    Column("revoked_at", BigInteger),
)


guilds = Table(
    "guilds",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="Discord's own id of its server"),
    Column("name", Text, nullable=False, comment="as last seen, for lists"),
    Column("language", Text, comment="NULL: the one that the Discord server says"),
    Column("time_zone", Text, comment="IANA; NULL: the game server's own"),
    Column("announce", Text, nullable=False, comment="what is announced: sorted, separated by spaces"),
    Column("joined_at", BigInteger, nullable=False),
    Column("left_at", BigInteger, comment="NULL: the bot is there"),
    Column("set_up_at", BigInteger, comment="NULL: nobody went through /setup yet"),
    comment="Discord servers and what they set up",
)

guild_servers = Table(
    "guild_servers",
    metadata,
    Column("guild_id", ForeignKey("guilds.id"), primary_key=True),
    Column("server_id", ForeignKey("servers.id"), primary_key=True, index=True),
    Column("shown", Boolean, nullable=False, comment="false: may be seen there, and is not wanted"),
    Column("granted_at", BigInteger, nullable=False),
    Column("granted_by", Text, nullable=False, comment="who, as in audit"),
    comment="which game servers a Discord server may see; no row, no sight",
)

guild_roles = Table(
    "guild_roles",
    metadata,
    Column("guild_id", ForeignKey("guilds.id"), primary_key=True),
    Column("role_id", BigInteger, primary_key=True, autoincrement=False),
    Column("level", Text, primary_key=True),
    CheckConstraint("level IN ('viewer', 'admin')", name="level"),
)

guild_channels = Table(
    "guild_channels",
    metadata,
    Column("guild_id", ForeignKey("guilds.id"), primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("channel_id", BigInteger, nullable=False),
    Column("trouble", Text, comment="why nothing can be posted there; NULL: it works"),
    Column("trouble_since_at", BigInteger),
    Column("told_at", BigInteger, comment="when the admins were told; they are told once"),
    CheckConstraint("purpose IN ('announcements', 'alerts')", name="purpose"),
)

announcement_cursors = Table(
    "announcement_cursors",
    metadata,
    Column("guild_id", ForeignKey("guilds.id"), primary_key=True),
    Column("server_id", ForeignKey("servers.id"), primary_key=True, index=True),
    Column("since_at", BigInteger, nullable=False, comment="what ended before is never announced there"),
    Column("outbox_id", BigInteger, nullable=False, comment="the last row of outbox that was looked at for it"),
)

POST_STATES = ("queued", "sending", "sent", "failed", "gone", "dropped")

guild_posts = Table(
    "guild_posts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("guild_id", ForeignKey("guilds.id"), nullable=False),
    Column("kind", Text, nullable=False, comment="round, match, session, ..."),
    Column("key", Text, nullable=False, comment="of what it tells; with guild and kind unique, so it is posted once"),
    Column("outbox_id", ForeignKey("outbox.id"), index=True, comment="what set it off; NULL where nothing there did"),
    Column("channel_id", BigInteger, nullable=False),
    Column("message_id", BigInteger, comment="NULL until Discord said so"),
    Column("state", Text, nullable=False),
    Column("nonce", Text, nullable=False, unique=True, comment="Discord makes one message of it, however often sent"),
    Column("digest", Text, comment="of what it shows; the same digest needs no edit"),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", BigInteger),
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("edited_at", BigInteger),
    UniqueConstraint("guild_id", "kind", "key"),
    CheckConstraint("state IN ('queued', 'sending', 'sent', 'failed', 'gone', 'dropped')", name="state"),
    Index("ix_guild_posts_queue", "state", "next_try_at"),
)

player_links = Table(
    "player_links",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False, comment="Discord's own id of the person"),
    Column("player_key", Text, nullable=False, unique=True, comment="players.key, which a rebuild does not change"),
    Column("method", Text, nullable=False),
    Column("linked_at", BigInteger, nullable=False),
    Column("linked_by", Text, nullable=False, comment="who, as in audit"),
    CheckConstraint("method IN ('proof', 'approval')", name="method"),
)

link_requests = Table(
    "link_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("player_key", Text, nullable=False, index=True),
    Column("guild_id", ForeignKey("guilds.id"), nullable=False, index=True),
    Column("code", Text, nullable=False, comment="to bear in the game for one round, as proof"),
    Column("state", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", Text),
    CheckConstraint("state IN ('open', 'linked', 'refused', 'withdrawn', 'expired')", name="state"),
    Index("ix_link_requests_state", "state", "expires_at"),
)

hidden_players = Table(
    "hidden_players",
    metadata,
    Column("player_key", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("hidden_at", BigInteger, nullable=False),
    comment="people who do not want to be shown; their rounds stay as they are",
)

panels = Table(
    "panels",
    metadata,
    Column("token", Text, primary_key=True, comment="stands in the buttons' ids"),
    Column("kind", Text, nullable=False),
    Column("guild_id", BigInteger, comment="NULL in a direct message"),
    Column("user_id", BigInteger, comment="who may press; NULL: everybody of the right level"),
    Column("state", Text, nullable=False, comment="JSON"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, index=True, comment="NULL: never"),
    comment="what the buttons of a message stand for, so that they survive a restart",
)
