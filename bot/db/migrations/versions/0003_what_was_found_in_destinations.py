"""What was found in destinations: inspections and reconcile runs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration."""
    op.add_column(
        "mirror_objects",
        sa.Column(
            "read_at", sa.BigInteger(), nullable=True, comment="when its bytes were last read back there and compared"
        ),
    )
    op.create_table(
        "inspections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("destination_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False, comment="when it first looked like this"),
        sa.Column(
            "as_of",
            sa.BigInteger(),
            nullable=False,
            comment="when it last looked like this; later looks that agree move it",
        ),
        sa.Column("basis", sa.Text(), nullable=False, comment="what looked: cycle, inspect or reconcile"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True, comment="NULL in state ok"),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True, comment="how long the listing took"),
        sa.Column("objects", sa.BigInteger(), nullable=True, comment="NULL unless the state is ok, as are all numbers"),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("oldest_at", sa.BigInteger(), nullable=True, comment="when the store got its oldest object"),
        sa.Column("newest_at", sa.BigInteger(), nullable=True),
        sa.Column("prefixes", sa.Text(), nullable=True, comment="JSON: objects and bytes by the first part of the key"),
        sa.Column("deep", sa.Text(), nullable=True, comment="JSON: what only a deep look tells; NULL: there was none"),
        sa.CheckConstraint(
            "state IN ('ok', 'auth', 'not_found', 'unreachable', 'package_missing', 'incomplete', 'refused')",
            name=op.f("ck_inspections_state"),
        ),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_inspections_destination_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspections")),
        comment="what was seen of a destination by looking at it; numbers here are never derived from the ledger",
    )
    op.create_index("ix_inspections_destination_id_as_of", "inspections", ["destination_id", "as_of"], unique=False)
    op.create_table(
        "reconcile_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("destination_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="who asked: schedule, cli:NAME, discord:ID or web:NAME"),
        sa.Column("listed_objects", sa.BigInteger(), nullable=True, comment="NULL where no listing came to its end"),
        sa.Column("listed_bytes", sa.BigInteger(), nullable=True),
        sa.Column(
            "before", sa.Text(), nullable=False, comment="JSON: files by state in the ledger, and what was tracked"
        ),
        sa.Column("after", sa.Text(), nullable=False, comment="JSON: the same after it, with objects that are extra"),
        sa.Column("causes", sa.Text(), nullable=False, comment="JSON: differences by cause"),
        sa.Column("repaired", sa.Integer(), nullable=False, comment="rows of the ledger that were put right"),
        sa.Column("error", sa.Text(), nullable=True, comment="why it failed, for a person"),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("doubt", sa.Text(), nullable=True, comment="why nothing was concluded from the listing"),
        sa.Column("differences", sa.LargeBinary(), nullable=False, comment="zlib of JSON: every difference by name"),
        sa.CheckConstraint("ended IN ('done', 'failed', 'doubtful')", name=op.f("ck_reconcile_runs_ended")),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_reconcile_runs_destination_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconcile_runs")),
        comment="every comparison of ledger and listing; rows are added and never changed",
    )
    op.create_index("ix_reconcile_runs_destination_id_id", "reconcile_runs", ["destination_id", "id"], unique=False)
    op.create_index(
        "ix_reconcile_runs_destination_id_started_at", "reconcile_runs", ["destination_id", "started_at"], unique=False
    )
