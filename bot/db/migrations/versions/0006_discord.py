"""What Discord servers set up, and what was posted there"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "guilds",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Discord's own id of its server"),
        sa.Column("name", sa.Text(), nullable=False, comment="as last seen, for lists"),
        sa.Column("language", sa.Text(), nullable=True, comment="NULL: the one that the Discord server says"),
        sa.Column("time_zone", sa.Text(), nullable=True, comment="IANA; NULL: the game server's own"),
        sa.Column("announce", sa.Text(), nullable=False, comment="what is announced: sorted, separated by spaces"),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True, comment="NULL: the bot is there"),
        sa.Column("set_up_at", sa.BigInteger(), nullable=True, comment="NULL: nobody went through /setup yet"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guilds")),
        comment="Discord servers and what they set up",
    )
    op.create_table(
        "hidden_players",
        sa.Column("player_key", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("hidden_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("player_key", name=op.f("pk_hidden_players")),
        comment="people who do not want to be shown; their rounds stay as they are",
    )
    op.create_index(op.f("ix_hidden_players_user_id"), "hidden_players", ["user_id"], unique=False)
    op.create_table(
        "panels",
        sa.Column("token", sa.Text(), nullable=False, comment="stands in the buttons' ids"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=True, comment="NULL in a direct message"),
        sa.Column(
            "user_id", sa.BigInteger(), nullable=True, comment="who may press; NULL: everybody of the right level"
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True, comment="NULL: never"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_panels")),
        comment="what the buttons of a message stand for, so that they survive a restart",
    )
    op.create_index(op.f("ix_panels_expires_at"), "panels", ["expires_at"], unique=False)
    op.create_table(
        "player_links",
        sa.Column(
            "user_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Discord's own id of the person"
        ),
        sa.Column("player_key", sa.Text(), nullable=False, comment="players.key, which a rebuild does not change"),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.Column("linked_by", sa.Text(), nullable=False, comment="who, as in audit"),
        sa.CheckConstraint("method IN ('proof', 'approval')", name=op.f("ck_player_links_method")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_player_links")),
        sa.UniqueConstraint("player_key", name=op.f("uq_player_links_player_key")),
    )
    op.create_table(
        "announcement_cursors",
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("server_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False, comment="what ended before is never announced there"),
        sa.Column(
            "outbox_id", sa.BigInteger(), nullable=False, comment="the last row of outbox that was looked at for it"
        ),
        sa.ForeignKeyConstraint(["guild_id"], ["guilds.id"], name=op.f("fk_announcement_cursors_guild_id")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_announcement_cursors_server_id")),
        sa.PrimaryKeyConstraint("guild_id", "server_id", name=op.f("pk_announcement_cursors")),
    )
    op.create_index(op.f("ix_announcement_cursors_server_id"), "announcement_cursors", ["server_id"], unique=False)
    op.create_table(
        "guild_channels",
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True, comment="why nothing can be posted there; NULL: it works"),
        sa.Column("trouble_since_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True, comment="when the admins were told; they are told once"),
        sa.CheckConstraint("purpose IN ('announcements', 'alerts')", name=op.f("ck_guild_channels_purpose")),
        sa.ForeignKeyConstraint(["guild_id"], ["guilds.id"], name=op.f("fk_guild_channels_guild_id")),
        sa.PrimaryKeyConstraint("guild_id", "purpose", name=op.f("pk_guild_channels")),
    )
    op.create_table(
        "guild_roles",
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.CheckConstraint("level IN ('viewer', 'admin')", name=op.f("ck_guild_roles_level")),
        sa.ForeignKeyConstraint(["guild_id"], ["guilds.id"], name=op.f("fk_guild_roles_guild_id")),
        sa.PrimaryKeyConstraint("guild_id", "role_id", "level", name=op.f("pk_guild_roles")),
    )
    op.create_table(
        "guild_servers",
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("server_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False, comment="false: may be seen there, and is not wanted"),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False, comment="who, as in audit"),
        sa.ForeignKeyConstraint(["guild_id"], ["guilds.id"], name=op.f("fk_guild_servers_guild_id")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_guild_servers_server_id")),
        sa.PrimaryKeyConstraint("guild_id", "server_id", name=op.f("pk_guild_servers")),
        comment="which game servers a Discord server may see; no row, no sight",
    )
    op.create_index(op.f("ix_guild_servers_server_id"), "guild_servers", ["server_id"], unique=False)
    op.create_table(
        "link_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("player_key", sa.Text(), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False, comment="to bear in the game for one round, as proof"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'linked', 'refused', 'withdrawn', 'expired')", name=op.f("ck_link_requests_state")
        ),
        sa.ForeignKeyConstraint(["guild_id"], ["guilds.id"], name=op.f("fk_link_requests_guild_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_requests")),
    )
    op.create_index(op.f("ix_link_requests_guild_id"), "link_requests", ["guild_id"], unique=False)
    op.create_index(op.f("ix_link_requests_player_key"), "link_requests", ["player_key"], unique=False)
    op.create_index("ix_link_requests_state", "link_requests", ["state", "expires_at"], unique=False)
    op.create_index(op.f("ix_link_requests_user_id"), "link_requests", ["user_id"], unique=False)
    op.create_table(
        "guild_posts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="round, match, session, ..."),
        sa.Column(
            "key",
            sa.Text(),
            nullable=False,
            comment="of what it tells; with guild and kind unique, so it is posted once",
        ),
        sa.Column(
            "outbox_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="what set it off; NULL where nothing there did",
        ),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True, comment="NULL until Discord said so"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False, comment="Discord makes one message of it, however often sent"),
        sa.Column("digest", sa.Text(), nullable=True, comment="of what it shows; the same digest needs no edit"),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("edited_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'failed', 'gone', 'dropped')", name=op.f("ck_guild_posts_state")
        ),
        sa.ForeignKeyConstraint(["guild_id"], ["guilds.id"], name=op.f("fk_guild_posts_guild_id")),
        sa.ForeignKeyConstraint(["outbox_id"], ["outbox.id"], name=op.f("fk_guild_posts_outbox_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guild_posts")),
        sa.UniqueConstraint("guild_id", "kind", "key", name=op.f("uq_guild_posts_guild_id_kind_key")),
        sa.UniqueConstraint("nonce", name=op.f("uq_guild_posts_nonce")),
    )
    op.create_index(op.f("ix_guild_posts_outbox_id"), "guild_posts", ["outbox_id"], unique=False)
    op.create_index("ix_guild_posts_queue", "guild_posts", ["state", "next_try_at"], unique=False)
