"""Every refusal and every problem code of Tierwise, as one tree.

Three shapes, the same in Python, on the command line (``--json``) and in the API:

- `Problem`: something a brand *declared* is wrong. A value, gathered with its siblings and shown all at once.
- `TierwiseError`: something somebody *asked* cannot be done. An exception with a stable code and an HTTP status.
- quarantine: something the *data* breaks. A row with line, column, reason and original text (see `tierwise.sources`).

    TierwiseError
    ├── DefinitionsInvalid   what was declared has problems; carries them all
    ├── ProjectNotFound      no project in this folder
    ├── UnknownName          a table, tag, customer … that does not exist
    ├── BadRequest           an argument that cannot be understood
    ├── SourceUnreadable     a file that cannot be read at all
    ├── EngineRefused        the engine cannot do what was asked (a failing statement, no memory, a full disk)
    ├── ProjectBusy          another process holds the project
    ├── VaultLocked          the people vault's master key is missing, wrong or unusable
    ├── Erased               the person has been erased
    ├── LeaseLost            a job is no longer this worker's
    ├── Unauthenticated      nobody knows who asks
    ├── Forbidden            whoever asks may not have this
    ├── Outdated             somebody else has changed it meanwhile
    ├── TooLittleData        a model would have to guess: too few customers, too short a history, nothing to learn from
    ├── KeyReused            an idempotency key came again with something else
    ├── NotEnough            less is there than was asked: points, stock, what can still be given back
    ├── SecondPerson         another person has to agree first
    ├── TooMany              somebody asks more often than they may
    ├── Overloaded           more has come in than can be taken now; send it again later
    └── NotYet               declared by the language, not available in this version
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "PROBLEM_CODES",
    "BadRequest",
    "DefinitionsInvalid",
    "EngineRefused",
    "Erased",
    "Forbidden",
    "KeyReused",
    "LeaseLost",
    "NotEnough",
    "NotYet",
    "Outdated",
    "Overloaded",
    "Place",
    "Problem",
    "ProjectBusy",
    "ProjectNotFound",
    "SecondPerson",
    "SourceUnreadable",
    "TierwiseError",
    "TooLittleData",
    "TooMany",
    "Unauthenticated",
    "UnknownName",
    "VaultLocked",
    "near_name",
]

#: Every problem code with the one sentence the reference page shows.
PROBLEM_CODES: dict[str, str] = {
    "yaml": "The file is not valid YAML.",
    "shape": "A key is missing, unknown, or has a value of the wrong shape.",
    "quote": "An expression in flow style must be quoted.",
    "duplicate-name": "Two definitions have one name.",
    "reserved-name": "A definition has the name of a function, a stream or an attribute.",
    "bad-name": "A name is not an identifier, or changes under NFKC.",
    "syntax": "The expression cannot be parsed.",
    "limit": "The expression is longer, deeper or larger than the language allows.",
    "unknown-name": "The expression refers to something that does not exist.",
    "kind": "An operand has the wrong kind.",
    "argument": "A function is called with a wrong, missing or extra argument.",
    "cycle": "Definitions refer to each other in a circle.",
    "no-otherwise": "The last tier of a tiering must be `otherwise`.",
    "never-matches": "A tier can never match, because an earlier tier always matches first.",
    "programme": "A tiering that remembers is declared in a way that has no meaning.",
    "points": "What is declared about points has no meaning.",
    "channel": "A channel is declared in a way that cannot work.",
    "template": "A message made from the template would be wrong: an unknown field, no way out, a banned promise.",
    "consent": "What is declared about consent leaves something out.",
    "not-yet": "The language has this, this version does not.",
    "source": "A source cannot be read as declared.",
    "engine": "The engine of this project cannot do this; another one can.",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was declared: a file, a 1-based line and column, and the dotted path of the key.

    Example:
        >>> str(Place("definitions/tags.yaml", 3, 12, "tags.r"))
        'definitions/tags.yaml:3:12'
    """

    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    def __str__(self) -> str:
        if not self.file:
            return self.path or "expression"
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Return the place as plain values."""
        return {"file": self.file, "line": self.line, "column": self.column, "path": self.path}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what was declared: what, where, and what to do.

    `excerpt` is the source line with a caret line below it, when there is one to show.
    `address` is the path of the expression node concerned (``args.0.where``).
    `severity` is ``error`` or ``warning``; warnings do not stop a run.

    Example:
        >>> print(Problem("kind", "days_since() needs a date", Place("tags.yaml", 2, 5), hint="use last(orders.time)"))
        tags.yaml:2:5: days_since() needs a date [kind]
          use last(orders.time)
    """

    code: str
    message: str
    where: Place = Place()
    hint: str = ""
    excerpt: str = ""
    address: str = ""
    severity: str = "error"

    def __post_init__(self) -> None:
        assert self.code in PROBLEM_CODES, f"undeclared problem code {self.code!r}"

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.message} [{self.code}]"]
        lines += ["  " + line for line in self.excerpt.splitlines()]
        if self.hint:
            lines.append("  " + self.hint)
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return the problem as plain values, the shape of ``--json`` and of the API."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "where": self.where.as_json(),
            "hint": self.hint,
            "excerpt": self.excerpt,
            "address": self.address,
        }


class TierwiseError(Exception):
    """Something that was asked cannot be done; every subclass has a stable `code` and an HTTP `status`."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    def as_json(self) -> dict[str, Any]:
        """Return the error as plain values, the shape of ``--json`` and of the API."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.details}


class DefinitionsInvalid(TierwiseError):
    """What was declared has problems; `problems` holds all of them."""

    code = "definitions-invalid"
    status = 422

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the definitions")

    def __str__(self) -> str:
        return "\n".join([self.message, *(str(problem) for problem in self.problems)])

    def as_json(self) -> dict[str, Any]:
        """Return the error with every problem."""
        return {"code": self.code, "message": self.message, "problems": [p.as_json() for p in self.problems]}


class ProjectNotFound(TierwiseError):
    """There is no project in the folder."""

    code = "project-not-found"
    status = 404


class UnknownName(TierwiseError):
    """A table, tag, tiering, segment or customer that does not exist."""

    code = "unknown-name"
    status = 404


class BadRequest(TierwiseError):
    """An argument that cannot be understood or must not be used so."""

    code = "bad-request"
    status = 400


class SourceUnreadable(TierwiseError):
    """A source file that cannot be read at all (missing, empty, of an unknown encoding, without a column)."""

    code = "source-unreadable"
    status = 422


class EngineRefused(TierwiseError):
    """The engine could not do what was asked: a failing statement, no memory, a full disk."""

    code = "engine-refused"
    status = 500


class ProjectBusy(TierwiseError):
    """Another process holds the project."""

    code = "project-busy"
    status = 409


class VaultLocked(TierwiseError):
    """The people vault cannot be opened: its master key is missing, wrong or unusable, or a key in it is damaged."""

    code = "vault-locked"
    status = 503


class Erased(TierwiseError):
    """The person has been erased; nothing is held on them any more."""

    code = "erased"
    status = 410


class LeaseLost(TierwiseError):
    """A job is no longer this worker's: its lease ran out and another worker may have taken it."""

    code = "lease-lost"
    status = 409


class Unauthenticated(TierwiseError):
    """Nobody knows who asks: there is no key or session, or it is over."""

    code = "unauthenticated"
    status = 401


class Forbidden(TierwiseError):
    """Whoever asks may not have this, or not do this."""

    code = "forbidden"
    status = 403


class Outdated(TierwiseError):
    """Somebody else has changed it meanwhile, or nobody said which version is meant."""

    code = "outdated"
    status = 412


class Overloaded(TierwiseError):
    """More has come in than can be taken now, or what takes it is broken; nothing was taken, send it again later."""

    code = "overloaded"
    status = 503


class TooMany(TierwiseError):
    """Somebody asks more often than they may; `retry_after` says after how many seconds they may again."""

    code = "too-many"
    status = 429


class TooLittleData(TierwiseError):
    """A model would have to guess: there are too few customers, too short a history, or nothing to learn from."""

    code = "too-little-data"
    status = 422


class KeyReused(TierwiseError):
    """An idempotency key came again with something else than the first time; nothing was done."""

    code = "key-reused"
    status = 422


class NotEnough(TierwiseError):
    """Less is there than was asked: points, stock, uses, or what can still be given back."""

    code = "not-enough"
    status = 409


class SecondPerson(TierwiseError):
    """Another person has to agree before this is done."""

    code = "second-person"
    status = 403


class NotYet(TierwiseError):
    """The language or design has this, this version does not."""

    code = "not-yet"
    status = 501


def near_name(name: str, known: Iterable[str]) -> str:
    """Return a sentence offering the nearest known name, or the known names when there are few, or nothing.

    Example:
        >>> near_name("spend_356d", ["spend_365d", "orders_365d"])
        'did you mean `spend_365d`?'
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    if 0 < len(names) <= 12:
        return "known here: " + ", ".join(names)
    return ""
