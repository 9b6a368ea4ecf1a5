"""What Alembic runs for each command: the steps go over the connection, and into the transaction, of the caller."""

from alembic import context

from tierwise.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    compare_type=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
