"""The sums of each map by session, kept ready for questions, and what came last, found without a look at all"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SUMS = (
    "rounds", "first_completed", "first_held", "first_gave_up", "first_undecided", "first_seconds", "second_completed",
    "second_held", "second_gave_up", "second_undecided", "second_seconds", "won_by_r1_attackers",
    "won_by_r2_attackers", "draws",
)  # fmt: skip


def upgrade() -> None:
    """Apply the migration. The table is filled when the bot next makes its kept sums anew, at its start."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "map_totals",
        sa.Column("map_name", sa.Text(), nullable=False),
        sa.Column("session_id", number, autoincrement=False, nullable=False),
        sa.Column("server_id", number, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in SUMS),
        sa.Column("last_played_at", sa.BigInteger(), nullable=False, comment="when the latest of the rounds ended"),
        sa.PrimaryKeyConstraint("map_name", "session_id", name=op.f("pk_map_totals")),
        comment="sums of a map's counted rounds by session; made from rounds, can be rebuilt",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_map_totals_session_id"), "map_totals", ["session_id"], unique=False)
    op.drop_index("ix_rounds_map_name", table_name="rounds")
    op.create_index("ix_rounds_map_name_ended_at", "rounds", ["map_name", "ended_at"], unique=False)
    op.create_index("ix_rounds_ended_at", "rounds", ["ended_at"], unique=False)
    op.create_index("ix_matches_ended_at", "matches", ["ended_at"], unique=False)
