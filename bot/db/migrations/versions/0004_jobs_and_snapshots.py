"""Jobs and database snapshots"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False, comment="UUID: the task id that a person gets"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "key", sa.Text(), nullable=False, comment="kind and arguments: of one key, one job is active at a time"
        ),
        sa.Column("arguments", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "heartbeat_at", sa.BigInteger(), nullable=True, comment="when the process that has it was last heard of"
        ),
        sa.Column("holder", sa.Text(), nullable=True, comment="the process that has it; NULL: none has taken it yet"),
        sa.Column(
            "attempt",
            sa.Integer(),
            nullable=False,
            comment="grows where a process died with it and it is tried again",
        ),
        sa.Column(
            "resumed_as", sa.Text(), nullable=True, comment="the job that goes on where this one was interrupted"
        ),
        sa.Column("cancel_actor", sa.Text(), nullable=True, comment="who asked for its end"),
        sa.Column("progress_done", sa.BigInteger(), nullable=False),
        sa.Column("progress_total", sa.BigInteger(), nullable=True, comment="NULL: not known"),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True, comment="JSON"),
        sa.Column("error", sa.Text(), nullable=True, comment="why it failed, for a person"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')",
            name=op.f("ck_jobs_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    active = sa.text("state IN ('queued', 'running')")
    op.create_index("uq_jobs_active_key", "jobs", ["key"], unique=True, sqlite_where=active, postgresql_where=active)
    op.create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"], unique=False)
    op.create_index("ix_jobs_kind_created_at", "jobs", ["kind", "created_at"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state"], unique=False)
    op.create_table(
        "snapshots",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("destination_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False, comment="such as daily-3; each is written over in its turn"),
        sa.Column("taken_at", sa.BigInteger(), nullable=False, comment="the moment that the snapshot shows"),
        sa.Column(
            "stored_at",
            sa.BigInteger(),
            nullable=True,
            comment="when it was proven to be there; NULL: it did not get there",
        ),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of what was sent"),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes of what was sent"),
        sa.Column("schema_revision", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True, comment="why it did not get there"),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_snapshots_destination_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
    )
    op.create_index("ix_snapshots_destination_id_taken_at", "snapshots", ["destination_id", "taken_at"], unique=False)
