"""Write the reference pages from the code: ``python -m docs.generate`` (``--check`` only compares)."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from tierwise import errors
from tierwise.definitions import streams
from tierwise.definitions.language import functions
from tierwise.definitions.tables import TABLES
from tierwise.sources import convert, records

_ROOT = Path(__file__).resolve().parents[1]
_NOTE = "<!-- Written by docs/generate.py from the code; edit there and run `make docs`. -->\n"


def errors_page() -> str:
    """Return the page of problem codes and errors."""
    lines = [
        "# Problems and errors",
        "",
        _NOTE,
        "A **problem** is something wrong with what was declared. All problems are found at once and shown with file,",
        "line and column; `tierwise check --json` prints the same list. A **warning** among them does not stop a run.",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| `{code}` | {meaning} |" for code, meaning in sorted(errors.PROBLEM_CODES.items())),
        "",
        "An **error** is something that was asked and cannot be done. Every error has a code that does not change, a",
        "message, usually a way out, and the HTTP status it has over the API.",
        "",
        "| code | status | class | meaning |",
        "|---|---|---|---|",
    ]
    for kind in _error_classes():
        meaning = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{kind.code}` | {kind.status} | `{kind.__name__}` | {meaning} |")
    return "\n".join(lines) + "\n"


def _error_classes() -> list[type[errors.TierwiseError]]:
    found = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, errors.TierwiseError)]
    return sorted((kind for kind in found if kind is not errors.TierwiseError), key=lambda kind: kind.code)


def functions_page() -> str:
    """Return the page of the language's functions, as declared in the registry."""
    lines = ["# Functions", "", _NOTE]
    lines.append("Options in brackets may be left out. A function over a stream also takes:")
    lines += ["", ", ".join(f"`{_parameter(option)}`" for option in functions.STREAM_OPTIONS) + "."]
    shared = set(functions.STREAM_OPTIONS)
    for group, title in _GROUPS.items():
        lines += ["", f"## {title}", "", "| function | gives | of nothing | meaning | 中文 |", "|---|---|---|---|---|"]
        for function in functions.FUNCTIONS.values():
            if function.group != group:
                continue
            given = [_parameter(param) for param in function.params if param not in shared]
            nothing = "missing" if function.of_nothing is None else str(function.of_nothing).lower()
            cells = [f"`{function.name}({', '.join(given)})`", str(function.result), nothing, function.about]
            lines.append("| " + " | ".join(_cell(cell) for cell in [*cells, function.sentence["zh"]]) + " |")
    lines += ["", "## Later", "", "The language has these; this version refuses them with a clear message.", ""]
    lines += [f"- `{name}`: {room}" for name, room in functions.LATER.items()]
    return "\n".join(lines) + "\n"


def _parameter(param: functions.Param) -> str:
    text = f"{param.name}=" if param.keyword else f"{param.name}, …" if param.many else param.name
    return text if param.required else f"[{text}]"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_GROUPS = {
    "stream": "Over a stream",
    "sequence": "Order of things",
    "scalar": "Scalar",
    "population": "Population",
    "group": "Groups",
    "membership": "Membership",
}


def streams_page() -> str:
    """Return the page of built-in streams and tables with their columns."""
    lines = ["# Streams and tables", "", _NOTE]
    lines.append("A stream has one row per happening: a customer, a `time` (when it became known) and these columns.")
    lines.append("Columns marked *computed* are worked out at the moment of the answer; no source maps them.")
    for stream in (*streams.BUILT_IN.values(), *streams.REFERENCE_TABLES.values()):
        lines += ["", f"## {stream.name} {stream.label}", "", f"{stream.about[:1].upper()}{stream.about[1:]}.", ""]
        lines += ["| column | kind | 中文 | meaning |", "|---|---|---|---|"]
        for column in stream.columns:
            notes = [column.about, "*required*" if column.name in stream.required else ""]
            notes.append("*computed*" if column.computed else "")
            meaning = "; ".join(note for note in notes if note)
            lines.append(f"| `{column.name}` | {column.kind} | {column.label} | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"


def tables_page() -> str:
    """Return the page of every table, by the memory it lives in."""
    lines = ["# Tables", "", _NOTE]
    lines.append("Where a table lives says what you may delete: what is in the engine can be computed again.")
    lines.append("A brand's own streams and lookups are tables of the engine as well.")
    for memory in ("lake", "engine", "store"):
        lines += ["", f"## {memory}", "", "| table | one row is | key | |", "|---|---|---|---|"]
        for table in TABLES.values():
            if table.memory == memory:
                key = ", ".join(f"`{name}`" for name in table.key)
                lines.append(f"| `{table.name}` | {_cell(table.grain)} | {key} | {_cell(table.about)} |")
    return "\n".join(lines) + "\n"


def quarantine_page() -> str:
    """Return the page of the reasons why a row is quarantined."""
    lines = ["# Quarantine", "", _NOTE]
    lines.append("A row that cannot be believed is kept with its line, column, reason and original text, and is in no")
    lines.append(
        "answer. `tierwise export quarantine --to FILE.csv` writes the rows. Beside these reasons there are the"
    )
    lines.append("names that a source gives in `exclude:`.")
    for title, reasons in (("Of a value or a row", convert.REASONS), ("Of a record", records.REJECT_REASONS)):
        lines += ["", f"## {title}", "", "| reason | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {_cell(meaning)} |" for name, meaning in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


#: Page → the function that writes it.
PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/errors.md": errors_page,
    "docs/reference/functions.md": functions_page,
    "docs/reference/quarantine.md": quarantine_page,
    "docs/reference/streams.md": streams_page,
    "docs/reference/tables.md": tables_page,
}


def main(arguments: list[str]) -> int:
    """Write every page, or with ``--check`` say which are out of date."""
    stale = []
    for name, write in PAGES.items():
        path, text = _ROOT / name, write()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(("out of date: " if "--check" in arguments else "written: ") + name)
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
