"""Incidents that people are told of"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "source_conditions",
        sa.Column("server_id", ID, nullable=False),
        sa.Column("last_ok_at", sa.BigInteger(), nullable=True, comment="when the game server last answered a poll"),
        sa.Column("last_listing_at", sa.BigInteger(), nullable=True, comment="when its folder was last listed"),
        sa.Column("listed_files", sa.Integer(), nullable=True, comment="stats files in that listing"),
        sa.Column("suspicious", sa.Text(), nullable=True, comment="why absence from that listing is not believed"),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_code", sa.Text(), nullable=True),
        sa.Column("last_error_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False, comment="in a row; 0: it works"),
        sa.Column("failing_since", sa.BigInteger(), nullable=True, comment="the first of them"),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_source_conditions_server_id")),
        sa.PrimaryKeyConstraint("server_id", name=op.f("pk_source_conditions")),
        comment="how polls of each game server went, as the running bot notes it",
    )
    op.create_table(
        "incidents",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="the cause: PLACE:NAME:CODE"),
        sa.Column(
            "live_key", sa.Text(), nullable=True, comment="the key until it is closed: one live incident for each cause"
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("colour", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "command", sa.Text(), nullable=True, comment="what mends it; NULL where nothing has to be done by hand"
        ),
        sa.Column(
            "began_at",
            sa.BigInteger(),
            nullable=False,
            comment="since when it is so, which may be before it was seen",
        ),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("sightings", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=True, comment="when people were to be told"),
        sa.Column("reminded_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "clear_since",
            sa.BigInteger(),
            nullable=True,
            comment="first look that did not see it; it has to stay so before it is over",
        ),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('suspected', 'open', 'closed')", name=op.f("ck_incidents_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("live_key", name=op.f("uq_incidents_live_key")),
    )
    op.create_index("ix_incidents_key_closed_at", "incidents", ["key", "closed_at"], unique=False)
    op.create_table(
        "incident_messages",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("notifier", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="counts the messages of one kind about one incident"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "delivery",
            sa.Text(),
            nullable=True,
            comment="key of the delivery it is part of; the same when that is tried again",
        ),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "dropped_at", sa.BigInteger(), nullable=True, comment="overtaken by a later message before it was sent"
        ),
        sa.Column(
            "reference", sa.Text(), nullable=True, comment="the notifier's own name of what it posted, for editing it"
        ),
        sa.CheckConstraint(
            "kind IN ('opened', 'changed', 'reminder', 'recovered')", name=op.f("ck_incident_messages_kind")
        ),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=op.f("fk_incident_messages_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_messages")),
        sa.UniqueConstraint(
            "incident_id",
            "notifier",
            "kind",
            "number",
            name=op.f("uq_incident_messages_incident_id_notifier_kind_number"),
        ),
        comment="what people are told of incidents: written with the decision, sent afterwards",
    )
    op.create_index(
        "ix_incident_messages_queue", "incident_messages", ["sent_at", "dropped_at", "next_try_at"], unique=False
    )
    op.create_table(
        "alert_mutes",
        sa.Column("pattern", sa.Text(), nullable=False, comment="an incident's key, or a shell pattern on it"),
        sa.Column("muted_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True, comment="NULL: until it is lifted"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pattern", name=op.f("pk_alert_mutes")),
    )
