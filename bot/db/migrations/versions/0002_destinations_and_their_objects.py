"""Destinations and their objects"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "destinations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "enabled_at",
            sa.BigInteger(),
            nullable=False,
            comment="since when files go there; older ones are backfill",
        ),
        sa.Column("paused_at", sa.BigInteger(), nullable=True, comment="NULL: not paused"),
        sa.Column(
            "capabilities",
            sa.Text(),
            nullable=True,
            comment="JSON, what the probe found out; NULL: nothing was ever copied there",
        ),
        sa.Column("last_ok_at", sa.BigInteger(), nullable=True, comment="when it last did what it was asked"),
        sa.Column("last_listing_at", sa.BigInteger(), nullable=True, comment="when a listing last came to its end"),
        sa.Column("listed_objects", sa.BigInteger(), nullable=True, comment="objects in that listing"),
        sa.Column("listed_bytes", sa.BigInteger(), nullable=True),
        sa.Column(
            "foreign_objects",
            sa.BigInteger(),
            nullable=True,
            comment="objects in that listing that are no copies of ours",
        ),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_code", sa.Text(), nullable=True),
        sa.Column("last_error_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False, comment="in a row; 0: it works"),
        sa.Column(
            "failing_since",
            sa.BigInteger(),
            nullable=True,
            comment="the first of them: one incident has one beginning",
        ),
        sa.Column(
            "next_try_at", sa.BigInteger(), nullable=True, comment="nothing is sent before, unless a person asks"
        ),
        sa.Column(
            "rate",
            sa.Float(),
            nullable=True,
            comment="files a second, weighted towards the latest; NULL: never measured",
        ),
        sa.Column("rate_spread", sa.Float(), nullable=True, comment="how far the samples lie from it"),
        sa.Column("rate_samples", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destinations")),
        sa.UniqueConstraint("name", name=op.f("uq_destinations_name")),
    )
    op.create_table(
        "mirror_objects",
        sa.Column("destination_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("server_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="below the destination's prefix"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of the content that is to be there"),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it is in this state, for a person"),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False, comment="uploads that failed in a row"),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "uploaded_at",
            sa.BigInteger(),
            nullable=True,
            comment="NULL: it was there before we looked, or is not there",
        ),
        sa.Column(
            "listed_at",
            sa.BigInteger(),
            nullable=True,
            comment="first listing that showed it; every one since has, or see missing_since",
        ),
        sa.Column("verified_at", sa.BigInteger(), nullable=True, comment="when a hash was last compared"),
        sa.Column("etag", sa.Text(), nullable=True, comment="the store's mark of that content"),
        sa.Column(
            "proof",
            sa.Text(),
            nullable=True,
            comment="what speaks for the store having these bytes: sent, metadata, etag or read",
        ),
        sa.Column("missing_since", sa.BigInteger(), nullable=True, comment="first listing that did not show it"),
        sa.CheckConstraint(
            "state IN ('pending', 'uploading', 'present', 'verified', 'missing', 'differs', 'failed', 'excluded')",
            name=op.f("ck_mirror_objects_state"),
        ),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_mirror_objects_destination_id")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_mirror_objects_server_id")),
        sa.PrimaryKeyConstraint("destination_id", "server_id", "name", name=op.f("pk_mirror_objects")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mirror_objects_server_id_name", "mirror_objects", ["server_id", "name"], unique=False)
    op.create_index("ix_mirror_objects_queue", "mirror_objects", ["destination_id", "state", "name"], unique=False)
