"""`Store`: one open store, with the verbs of each noun on it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from tierwise.errors import EngineRefused, TierwiseError
from tierwise.store import migrations
from tierwise.store.accounts import Accounts
from tierwise.store.audit import Audit, Finding
from tierwise.store.checks import check_store
from tierwise.store.consents import Consents
from tierwise.store.erasures import Erasures
from tierwise.store.exports import Exports
from tierwise.store.facts import Facts
from tierwise.store.ids import Ids
from tierwise.store.jobs import Jobs
from tierwise.store.links import Links
from tierwise.store.originals import Originals
from tierwise.store.people import People
from tierwise.store.points import Points
from tierwise.store.reviews import Reviews
from tierwise.store.runs import Runs
from tierwise.store.second_factors import SecondFactors
from tierwise.store.segments import Segments
from tierwise.store.subject_requests import SubjectRequests
from tierwise.store.transactions import Transactions
from tierwise.store.uploads import Uploads
from tierwise.store.vault import Vault

__all__ = ["KEY_FILE", "Store"]

#: The name of the master key's file.
KEY_FILE: Final = "master.key"


class Store:
    """One open store; close it, or use it in a `with` statement.

    Example:
        >>> import tempfile, pyarrow as pa
        >>> with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/store.db") as store:
        ...     keys = pa.table({"key_space": ["crm", "crm"], "source_key": ["c-7", "c-3"]})
        ...     store.ids.assign(keys)["customer_id"].to_pylist(), store.ids.find("c-3")
        ([1, 2], [2])
    """

    def __init__(self, transactions: Transactions, key_file: Path | None = None, anchor: Path | None = None) -> None:
        self._transactions = transactions
        self.vault = Vault(transactions, key_file)
        self.ids = Ids(transactions)
        self.links = Links(transactions)
        self.reviews = Reviews(transactions)
        self.people = People(transactions, self.vault)
        self.originals = Originals(transactions, self.vault)
        self.segments = Segments(transactions, self.vault)
        self.erasures = Erasures(transactions, self.vault)
        self.exports = Exports(transactions)
        self.facts = Facts(transactions)
        self.points = Points(transactions)
        self.consents = Consents(transactions)
        self.runs = Runs(transactions)
        self.jobs = Jobs(transactions)
        self.audit = Audit(transactions, anchor, self.vault)
        self.accounts = Accounts(transactions)
        self.second_factors = SecondFactors(transactions, self.vault)
        self.uploads = Uploads(transactions)
        self.requests = SubjectRequests(transactions)

    @classmethod
    def open(
        cls,
        where: str | os.PathLike[str],
        *,
        upgrade: bool = True,
        busy_timeout_seconds: float = 30.0,
        key_file: Path | None = None,
        anchor: Path | None = None,
    ) -> Store:
        """Open the store at a path or URL; a new one is made, and an older one brought up to date, if `upgrade`.

        Args:
            where: A path, ``sqlite:///path`` or ``postgresql+psycopg://…``.
            upgrade: Whether the schema may be changed; if not, a store that needs it is refused.
            busy_timeout_seconds: How long to wait for another writer before `ProjectBusy`.
            key_file: Where the people vault's master key is, unless the environment holds it; by default
                ``master.key`` beside a store that is a file.
            anchor: The file that knows where the audit ended; by default it lies beside a store that is a file.
        """
        if upgrade and "://" not in os.fspath(where):
            Path(where).parent.mkdir(parents=True, exist_ok=True)
        transactions = Transactions(where, busy_timeout_seconds=busy_timeout_seconds)
        try:
            with transactions.read() as connection:
                revision = migrations.revision_of(connection)
            if revision != migrations.REVISIONS[-1]:
                if not upgrade:
                    raise EngineRefused(
                        f"the store has revision {revision or 'none'}, this Tierwise needs {migrations.REVISIONS[-1]}",
                        hint="open it once with upgrade=True, after a backup",
                    )
                with transactions.write() as connection:
                    migrations.upgrade(connection)
        except BaseException:
            transactions.close()
            raise
        file = transactions.path
        if file is not None:
            key_file = key_file or file.with_name(KEY_FILE)
            anchor = anchor or file.with_name(file.name + ".anchor")
        return cls(transactions, key_file, anchor)

    @property
    def path(self) -> Path | None:
        """The file of the store, or nothing when it is on a server."""
        return self._transactions.path

    def revision(self) -> str:
        """Return the revision of the schema, as `tierwise.store.migrations.REVISIONS` lists them."""
        with self._transactions.read() as connection:
            return migrations.revision_of(connection) or ""

    def check(self) -> list[Finding]:
        """Look over everything that must always hold; return what does not."""
        return check_store(self._transactions, self.audit)

    def close(self) -> None:
        """Do what is waiting, seal what the audit has, close every connection; the store cannot be used afterwards."""
        self.points.close()
        self.consents.close()
        # What cannot be sealed now (another process writes, the server is gone) is sealed by whoever comes next.
        with suppress(TierwiseError, OSError):
            self.audit.seal()
        self._transactions.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
