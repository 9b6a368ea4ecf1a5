"""What the server takes and is asked for: uploaded files, and requests of people about their own data."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("INSERT INTO sequences (name, next_id) VALUES ('upload_id', 1), ('subject_request_id', 1)")
    op.create_table(
        "uploads",
        sa.Column("upload_id", _ID, nullable=False, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size_bytes", _ID, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("uploaded_at", _AT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("file", sa.Text),
        sa.Column("job_id", _ID),
        sa.Column("ended_at", _AT),
        sa.PrimaryKeyConstraint("upload_id", name="pk_uploads"),
        sa.CheckConstraint("state IN ('uploaded', 'committed', 'discarded')", name=op.f("ck_uploads_state")),
        sa.CheckConstraint("(state = 'uploaded') = (ended_at IS NULL)", name=op.f("ck_uploads_ended")),
        sa.CheckConstraint("(state = 'committed') = (job_id IS NOT NULL)", name=op.f("ck_uploads_job")),
    )
    op.create_index("ix_uploads_state", "uploads", ["state"])
    op.create_table(
        "subject_requests",
        sa.Column("request_id", _ID, nullable=False, autoincrement=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("requested_at", _AT, nullable=False),
        sa.Column("due_at", _AT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("closed_at", _AT),
        sa.Column("closed_by", sa.Text),
        sa.PrimaryKeyConstraint("request_id", name="pk_subject_requests"),
        sa.CheckConstraint("kind IN ('export', 'rectify', 'restrict', 'erase')", name=op.f("ck_subject_requests_kind")),
        sa.CheckConstraint("state IN ('open', 'done', 'refused')", name=op.f("ck_subject_requests_state")),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f("ck_subject_requests_closed")),
    )
    op.create_index("ix_subject_requests_state_due_at", "subject_requests", ["state", "due_at"])
    op.create_index("ix_subject_requests_customer_id", "subject_requests", ["customer_id"])
