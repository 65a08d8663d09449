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
    op.create_table(
        "player_weapon_lifetimes",
        sa.Column("player_id", number, autoincrement=False, nullable=False),
        sa.Column("server_id", number, autoincrement=False, nullable=False),
        sa.Column("weapon", sa.SmallInteger(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("shots", sa.Integer(), nullable=False),
        sa.Column("kills", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("headshots", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("player_id", "server_id", "weapon", name=op.f("pk_player_weapon_lifetimes")),
        comment="sums of a player's weapons over counted rounds by server; made from player_weapon_totals, "
        "can be rebuilt",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_player_weapon_lifetimes_weapon"), "player_weapon_lifetimes", ["weapon"], unique=False)
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
