"""The store: what happened in transactions and cannot be computed again (ids, people, runs, jobs, the audit).

Open it with `Store.open`; each noun's verbs hang on it by name (`store.ids.assign`, `store.runs.begin`).
SQLite in one file on a laptop, PostgreSQL by URL. Modules, in reading order:

- `actors`        who does something: `Actor(kind, id, roles)`
- `schema`        every table, with types both databases know
- `transactions`  connections, and the two kinds of transaction: `read` and `write`
- `sequences`     numbers that are given once
- `migrations`    how an older store becomes a current one
- `ids`           source records and the customers they belong to
- `links`         edges between records: what made them one customer, and by whom they were parted
- `reviews`       pairs of records that may be one customer, for somebody to decide
- `keys`          master keys: where they come from, how they wrap other keys
- `vault`         the people vault's keys, its blind indexes, the change of the master key
- `identifiers`   telephone numbers and other identifiers in one canonical form
- `people`        personal values, encrypted under a key of their source record
- `originals`     the original texts of quarantined rows, encrypted under a key of their import
- `personal`      which columns of the store hold personal data, and what erasing does to them
- `erasures`      who was erased, and the tombstones that refuse their rows
- `exports`       the files written for somebody
- `audit`         who did what, when, to what, chained so that a later change shows
- `facts`         what a person said of a customer by hand, why and until when
- `decisions`     facts as people give them, checked against what is declared
- `queue`         many small deeds in one transaction
- `points_requests`  what can be asked of the points ledger
- `points_book`   the ledger's rules, in memory
- `points_writing`  the books, read and written
- `points`        what customers have earned, spent and lost, in double entry
- `points_reports`  what the points outstanding amount to, and what became of those earned
- `points_checks` the proof of the books
- `consents_requests`  what can be said of consent
- `consents_folding`   what follows from all that was said: the strictest
- `consents_writing`   statements written, and what follows worked out anew
- `consents`      what people agree to, withdraw, and for how long
- `consents_checks`    the proof that statements are what was said, and that states follow from them
- `runs`          what was run, when, on what, and how it ended
- `accounts`      who may use the console and the API: users, sessions, keys
- `second_factors`  what the authenticators of users know, each code taken once
- `uploads`       files that somebody has sent, until they are committed or discarded
- `subject_requests`  what people ask about their own data, and by when it is due
- `jobs`          work that a worker does later, claimed for the time of a lease
- `checks`        what must always hold, looked over on demand
- `session`       `Store`, which holds them together
"""

from tierwise.store.accounts import Accounts, ApiKey, Session, User
from tierwise.store.actors import SYSTEM, Actor
from tierwise.store.audit import Audit, AuditEntry, AuditReport, Finding
from tierwise.store.consents import Consents
from tierwise.store.consents_requests import ConsentState, Say, Statement
from tierwise.store.decisions import Decisions
from tierwise.store.erasures import Erasure, Erasures, Refusals
from tierwise.store.exports import Export, Exports
from tierwise.store.facts import Fact, Facts
from tierwise.store.ids import Ids
from tierwise.store.jobs import Job, Jobs
from tierwise.store.links import Change, Edge, Linking, Links
from tierwise.store.originals import Originals
from tierwise.store.people import People, PersonalValue
from tierwise.store.points import Balance, Points, Proposal
from tierwise.store.points_requests import Adjust, Earn, Entry, GiveBack, Given, Redeem, Request, Reverse, Transfer
from tierwise.store.reviews import Review, Reviews
from tierwise.store.runs import Run, Runs
from tierwise.store.second_factors import SecondFactors
from tierwise.store.segments import Segment, Segments
from tierwise.store.session import Store
from tierwise.store.subject_requests import SubjectRequest, SubjectRequests
from tierwise.store.uploads import Upload, Uploads
from tierwise.store.vault import Vault

__all__ = [
    "SYSTEM",
    "Accounts",
    "Actor",
    "Adjust",
    "ApiKey",
    "Audit",
    "AuditEntry",
    "AuditReport",
    "Balance",
    "Change",
    "ConsentState",
    "Consents",
    "Decisions",
    "Earn",
    "Edge",
    "Entry",
    "Erasure",
    "Erasures",
    "Export",
    "Exports",
    "Fact",
    "Facts",
    "Finding",
    "GiveBack",
    "Given",
    "Ids",
    "Job",
    "Jobs",
    "Linking",
    "Links",
    "Originals",
    "People",
    "PersonalValue",
    "Points",
    "Proposal",
    "Redeem",
    "Refusals",
    "Request",
    "Reverse",
    "Review",
    "Reviews",
    "Run",
    "Runs",
    "Say",
    "SecondFactors",
    "Segment",
    "Segments",
    "Session",
    "Statement",
    "Store",
    "SubjectRequest",
    "SubjectRequests",
    "Transfer",
    "Upload",
    "Uploads",
    "User",
    "Vault",
]
