"""The best of each session, and the sums of weapons over all time, kept ready for questions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BESTS = (
    "kills", "dpm", "damage", "kd", "headshots", "headshot_percent", "accuracy", "killing_spree", "revives", "gibs",
    "assists", "denied_per_minute", "xp", "objectives",
)  # fmt: skip


def upgrade() -> None:
    """Apply the migration. The tables are filled when the bot next makes its kept sums anew, at its start."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    sums = ("hits", "shots", "kills", "deaths", "headshots")
    op.drop_table("player_weapon_totals")
    op.create_table(
        "player_weapon_totals",
        sa.Column("player_id", number, autoincrement=False, nullable=False),
        sa.Column("session_id", number, autoincrement=False, nullable=False),
        sa.Column("map_name", sa.Text(), nullable=False),
        sa.Column("weapon", sa.SmallInteger(), nullable=False),
        sa.Column("server_id", number, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint("player_id", "session_id", "map_name", "weapon", name=op.f("pk_player_weapon_totals")),
        comment="sums of a player's weapons over counted rounds by session and map; made from player_weapons",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_player_weapon_totals_session_id"), "player_weapon_totals", ["session_id"], unique=False)
    op.create_table(
        "player_weapon_lifetimes",
        sa.Column("map_name", sa.Text(), nullable=False, comment="empty: over all maps"),
        sa.Column("weapon", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("player_id", number, autoincrement=False, nullable=False),
        sa.Column("server_id", number, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint(
            "map_name", "weapon", "player_id", "server_id", name=op.f("pk_player_weapon_lifetimes")
        ),
        comment="sums of a player's weapons over counted rounds by server and map; made from player_weapon_totals",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_player_weapon_lifetimes_player_id"), "player_weapon_lifetimes", ["player_id"])
    op.create_table(
        "session_bests",
        sa.Column("grain", sa.Text(), nullable=False, comment="over how much a value is: round, match or session"),
        sa.Column("map_name", sa.Text(), nullable=False, comment="empty: over all maps of the session"),
        sa.Column("session_id", number, autoincrement=False, nullable=False),
        sa.Column("server_id", number, nullable=False),
        *(sa.Column(name, sa.Float(), nullable=True, comment="NULL: nobody's can be a record") for name in BESTS),
        sa.PrimaryKeyConstraint("grain", "map_name", "session_id", name=op.f("pk_session_bests")),
        comment="the best that anybody reached in a session, where records are looked for; made from player_rounds",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_session_bests_session_id"), "session_bests", ["session_id"], unique=False)
    flawed = sa.text("excluded IS NOT NULL OR flags <> ''")
    op.create_index(
        "ix_rounds_flawed",
        "rounds",
        ["excluded", "flags", "session_id", "server_id", "map_name"],
        unique=False,
        sqlite_where=flawed,
        postgresql_where=flawed,
    )
