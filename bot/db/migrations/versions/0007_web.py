"""Who is logged in on the web pages, and which keys open the API"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "web_sessions",
        sa.Column(
            "token_hash", sa.Text(), nullable=False, comment="SHA-256 of the cookie; the cookie itself is nowhere here"
        ),
        sa.Column("user_key", sa.Text(), nullable=False, comment="who, as in audit: discord:ID or link:ID"),
        sa.Column("name", sa.Text(), nullable=False, comment="to greet them by"),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'admin')", name=op.f("ck_web_sessions_role")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_web_sessions")),
    )
    op.create_index(op.f("ix_web_sessions_user_key"), "web_sessions", ["user_key"], unique=False)
    op.create_index(op.f("ix_web_sessions_expires_at"), "web_sessions", ["expires_at"], unique=False)
    op.create_table(
        "web_logins",
        sa.Column("token_hash", sa.Text(), nullable=False, comment="SHA-256 of the link's token, or of OAuth's state"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "browser_hash", sa.Text(), nullable=True, comment="SHA-256 of the cookie of the browser that began it"
        ),
        sa.Column("verifier", sa.Text(), nullable=True, comment="PKCE"),
        sa.Column("next_path", sa.Text(), nullable=True, comment="where to go afterwards"),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('link', 'oauth')", name=op.f("ck_web_logins_kind")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_web_logins")),
    )
    op.create_index(op.f("ix_web_logins_expires_at"), "web_logins", ["expires_at"], unique=False)
    op.create_table(
        "web_keys",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="what it is for"),
        sa.Column("key_hash", sa.Text(), nullable=False, comment="SHA-256; the key itself is shown once"),
        sa.Column("hint", sa.Text(), nullable=False, comment="its first characters, to tell keys apart"),
        sa.Column("scopes", sa.Text(), nullable=False, comment="sorted, separated by spaces"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True, comment="to the hour"),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_web_keys_key_hash")),
    )
