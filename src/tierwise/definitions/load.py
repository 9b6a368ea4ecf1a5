"""Reads a project folder's YAML (or plain Python values) into frozen definitions, keeping file:line of every part."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString, ScalarString

from tierwise.definitions.channels import ChannelForm, TemplateForm
from tierwise.definitions.consents import Consent
from tierwise.definitions.identity import Identity
from tierwise.definitions.model import Lookup, Parameter, Segment, Settings, StreamForm, Tag, Tiering
from tierwise.definitions.names import name_problem
from tierwise.definitions.points import PointsProgramme
from tierwise.definitions.sources import Source
from tierwise.errors import Place, Problem, ProjectNotFound, near_name

__all__ = ["SETTINGS_FILE", "Definitions", "define", "load"]

SETTINGS_FILE: Final = "tierwise.yaml"
_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "tags": Tag,
    "tierings": Tiering,
    "segments": Segment,
    "parameters": Parameter,
    "lookups": Lookup,
    "streams": StreamForm,
    "points": PointsProgramme,
    "channels": ChannelForm,
    "templates": TemplateForm,
}
#: What is declared once in a project, so that its keys are its parts and no names.
_SINGLE: Final[Mapping[str, type[BaseModel]]] = {"identity": Identity, "consent": Consent}
#: Sections that change no answer of the engine.
_APART: Final = ("points", "channels", "templates")


@dataclass(frozen=True)
class Definitions:
    """Everything a brand declared, and where.

    `places` maps a path (``tags.r.value``) to where it stands; it is no part of equality, nor of `digest`. Nor are
    `identity` and `consent`: what answers depend on is who was linked, and that is the identity version, and what was
    said.
    """

    settings: Settings
    sources: Mapping[str, Source] = field(default_factory=dict)
    tags: Mapping[str, Tag] = field(default_factory=dict)
    tierings: Mapping[str, Tiering] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    streams: Mapping[str, StreamForm] = field(default_factory=dict)
    identity: Identity | None = field(default=None, compare=False)
    consent: Consent | None = field(default=None, compare=False)
    points: Mapping[str, PointsProgramme] = field(default_factory=dict)
    channels: Mapping[str, ChannelForm] = field(default_factory=dict)
    templates: Mapping[str, TemplateForm] = field(default_factory=dict)
    folder: Path | None = field(default=None, compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)

    @property
    def key_spaces(self) -> tuple[str, ...]:
        """Return the key spaces of the sources: whose numbers a customer may be named by."""
        return tuple(dict.fromkeys(source.key_space for source in self.sources.values()))

    @property
    def written(self) -> dict[str, Any]:
        """Return what is declared as JSON holds it, but what changes no answer (see `tierwise.definitions.written`)."""
        settings = self.settings.model_dump(
            mode="json", by_alias=True, exclude_defaults=True, exclude={"engine", "schedules", "jobs_kept", "value"}
        )
        whole: dict[str, Any] = {"settings": settings}
        for section in ("sources", *(one for one in _SECTIONS if one not in _APART)):
            forms: Mapping[str, BaseModel] = getattr(self, section)
            whole[section] = [
                [name, form.model_dump(mode="json", by_alias=True, exclude_defaults=True)]
                for name, form in forms.items()
            ]
        return whole

    @cached_property
    def digest(self) -> str:
        """Return the hash of what is declared; every answer names it. When something is run changes no answer."""
        return hashlib.sha256(json.dumps(self.written, ensure_ascii=False).encode()).hexdigest()[:16]

    def place(self, path: str) -> Place:
        """Return where a path stands, or the nearest place above it."""
        probe = path
        while probe:
            if probe in self.places:
                return self.places[probe]
            probe = probe.rpartition(".")[0]
        return Place(path=path)


def load(folder: Path) -> tuple[Definitions | None, list[Problem]]:
    """Read a project folder; return the definitions (None when they cannot be built) and every problem found.

    Raises:
        ProjectNotFound: when there is no ``tierwise.yaml`` in the folder.
    """
    settings_file = folder / SETTINGS_FILE
    if not settings_file.is_file():
        raise ProjectNotFound(f"there is no {SETTINGS_FILE} in {folder}", "make a project with `tierwise init DIR`")
    reader = _Reader(folder)
    settings = reader.read(settings_file)
    reader.collect("settings", {"": settings} if settings is not None else {}, Settings)
    for path in sorted([*folder.glob("sources/**/*.yaml"), *folder.glob("sources/**/*.yml")]):
        content = reader.read(path)
        if content is not None:
            named = {path.stem: content} if "file" in content or "streams" in content else content
            reader.collect("sources", named, Source, content)
    for path in sorted([*folder.glob("definitions/**/*.yaml"), *folder.glob("definitions/**/*.yml")]):
        reader.definitions(path)
    return reader.result()


def define(
    settings: Settings | Mapping[str, Any] | str, **sections: Mapping[str, Any]
) -> tuple[Definitions | None, list[Problem]]:
    """Build definitions from plain Python values or model objects: the same objects the YAML form gives.

    Example:
        >>> definitions, problems = define("shop", tags={"orders_count": "count(orders)"})
        >>> definitions.tags["orders_count"].value, problems
        ('count(orders)', [])
    """
    reader = _Reader(Path())
    reader.collect("settings", {"": {"name": settings} if isinstance(settings, str) else settings}, Settings)
    for section, forms in sections.items():
        if section not in (*_SECTIONS, *_SINGLE, "sources"):
            raise TypeError(f"there is no section {section!r}")
        if section in _SINGLE:
            reader.collect(section, {"": forms}, _SINGLE[section])
        else:
            reader.collect(section, forms, _SECTIONS.get(section, Source))
    return reader.result()


class _Reader:
    """Collects forms, places and problems over all files of a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.places: dict[str, Place] = {}
        self.found: dict[str, dict[str, Any]] = {
            section: {} for section in ("settings", "sources", *_SECTIONS, *_SINGLE)
        }
        self.file = ""
        self.lines: list[str] = []

    def result(self) -> tuple[Definitions | None, list[Problem]]:
        settings = self.found["settings"].get("")
        if settings is None:
            return None, self.problems
        sections: dict[str, Any] = {section: self.found[section] for section in ("sources", *_SECTIONS)}
        single: dict[str, Any] = {section: self.found[section].get("") for section in _SINGLE}
        whole = Definitions(settings, **sections, **single, folder=self.folder, places=self.places)
        return whole, self.problems

    def report(self, code: str, message: str, where: Place, hint: str = "") -> None:
        self.problems.append(Problem(code, message, where, hint))

    # -- YAML -------------------------------------------------------------------------------------------------------

    def read(self, path: Path) -> Mapping[Any, Any] | None:
        """Parse one file into a mapping, or report."""
        self.file = path.relative_to(self.folder).as_posix()
        yaml = YAML(typ="rt")
        yaml.preserve_quotes = True
        try:
            text = path.read_text(encoding="utf-8-sig")
            self.lines = text.splitlines()
            content = yaml.load(text)
        except UnicodeDecodeError as error:
            self.report("yaml", f"the file is not UTF-8 (byte {error.start})", Place(self.file), "save it as UTF-8")
            return None
        except DuplicateKeyError as error:
            mark = error.problem_mark
            where = Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file)
            name = re.search(r'found duplicate key "?([^"\s]+)', error.problem or "")
            self.report(
                "duplicate-name",
                f"`{name[1] if name else 'a name'}` is declared twice",
                where,
                "give one of the two another name",
            )
            return None
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file)
            self.report("yaml", f"this is not YAML: {error.problem or error.context}", where, _yaml_hint(error))
            return None
        except (YAMLError, RecursionError, ValueError) as error:
            if not self.impossible_date():
                self.report("yaml", f"this is not YAML: {str(error).splitlines()[0]}", Place(self.file))
            return None
        if content is None:
            return {}
        if not isinstance(content, Mapping):
            self.report("shape", "the file is a mapping of names to definitions", Place(self.file, 1, 1))
            return None
        return content

    def impossible_date(self) -> bool:
        """Report the first date that does not exist: YAML reads dates itself, and fails without saying where."""
        for number, line in enumerate(self.lines, 1):
            for found in re.finditer(r"(?<![\w.-])\d{4}-\d\d?-\d\d?(?![\w.-])", line):
                try:
                    dt.date(*map(int, found[0].split("-")))
                except ValueError:
                    where = Place(self.file, number, found.start() + 1)
                    self.report("yaml", f"`{found[0]}` is not a date", where, "correct it, or put it in quotes")
                    return True
        return False

    def definitions(self, path: Path) -> None:
        content = self.read(path)
        for section, forms in (content or {}).items():
            where = self.position(content, section)
            if section in _SINGLE:
                self.collect(str(section), {"": {} if forms is None else forms}, _SINGLE[section], content)
            elif section not in _SECTIONS:
                known = (*_SECTIONS, *_SINGLE)
                self.report("shape", f"there is no section `{section}`", where, near_name(str(section), known))
            elif forms is None:
                continue
            elif not isinstance(forms, Mapping):
                self.report("shape", f"`{section}` is a mapping of names to definitions", where)
            else:
                self.collect(str(section), forms, _SECTIONS[section])

    def position(self, parent: object, key: object, of_value: bool = False) -> Place:
        """Return where a key (or its value) of a YAML mapping or list stands."""
        if not isinstance(parent, CommentedMap | CommentedSeq):
            return Place(self.file)
        try:
            if isinstance(parent, CommentedSeq):
                line, column = parent.lc.item(key)
            else:
                line, column = parent.lc.value(key) if of_value else parent.lc.key(key)
        except (KeyError, TypeError, AttributeError):
            return Place(self.file)
        value = parent[key] if of_value or isinstance(parent, CommentedSeq) else None
        if isinstance(value, LiteralScalarString | FoldedScalarString):
            block = self.lines[line + 1] if line + 1 < len(self.lines) else ""
            return Place(self.file, line + 2, len(block) - len(block.lstrip()) + 1)
        return Place(self.file, line + 1, column + 1 + (1 if isinstance(value, ScalarString) else 0))

    # -- forms ------------------------------------------------------------------------------------------------------

    def collect(self, section: str, forms: Mapping[Any, Any], form: type[BaseModel], parent: object = None) -> None:
        """Validate each form of a section and remember where its parts stand."""
        for name, content in forms.items():
            where = self.position(forms, name)
            if where.line == 0 and parent is not None:
                where = Place(self.file, 1, 1)
            path = f"{section}.{name}" if name != "" else section
            self.places.setdefault(path, where)
            if name != "" and not self.good_name(section, name, where):
                continue
            if name in self.found[section]:
                first = self.places[path]
                self.report(
                    "duplicate-name",
                    f"`{name}` is declared twice in {section}, first at {first}",
                    where,
                    "give one of the two another name",
                )
                continue
            self.remember(path, content)
            if not isinstance(content, Mapping) and isinstance(forms, CommentedMap):
                short = "rule" if section == "segments" else "value"
                self.places[f"{path}.{short}"] = self.position(forms, name, of_value=True)
            problems = len(self.problems)
            self.look_for_unquoted(content, path)
            if len(self.problems) > problems:
                continue
            try:
                self.found[section][name] = form.model_validate(_plain(content))
            except ValidationError as error:
                self.refuse(error, path, content, form)

    def good_name(self, section: str, name: object, where: Place) -> bool:
        if not isinstance(name, str):
            shown = str(name).lower() if isinstance(name, bool) else name
            self.report(
                "bad-name",
                f"YAML reads the name `{shown}` as {_yaml_type(name)}",
                where,
                f'put it in quotes: "{shown}"',
            )
            return False
        problem = name_problem(name) if section not in ("sources",) else ""
        if problem:
            self.report(
                "bad-name", problem, where, "a name is letters (Chinese ones too), digits and _, and no reserved word"
            )
        return not problem

    def remember(self, path: str, content: object) -> None:
        """Note the place of every value below a path."""
        pairs: Iterator[tuple[Any, Any]] = iter(())
        if isinstance(content, Mapping):
            pairs = iter(content.items())
        elif isinstance(content, CommentedSeq):
            pairs = iter(enumerate(content))
        for key, value in pairs:
            below = f"{path}.{key}"
            self.places[below] = self.position(content, key, of_value=True)
            self.remember(below, value)

    def look_for_unquoted(self, content: object, path: str) -> None:
        """A key such as ``within="90d")`` is the tail of an expression that YAML has cut at its comma."""
        if not isinstance(content, Mapping):
            return
        for key, value in content.items():
            where = self.position(content, key)
            if isinstance(key, str) and value is None and re.search(r"[()=<>\"']", key):
                self.report(
                    "quote", f"`{key}` looks like the rest of an expression", where, "quote the expression: '…'"
                )
            elif not isinstance(key, str) and path.count(".") == 2 and path.endswith(".tiers"):
                self.good_name("tiers", key, where)
            elif path.endswith(".tiers") and isinstance(key, str) and name_problem(key):
                self.report("bad-name", name_problem(key), where, "a tier's name is letters, digits and _")
            else:
                self.look_for_unquoted(value, f"{path}.{key}")

    def refuse(self, error: ValidationError, path: str, content: object, form: type[BaseModel]) -> None:
        seen = set()
        for item in error.errors():
            steps = [str(step) for step in item["loc"] if step not in ("str", "Tier", "function-before")]
            where_path = ".".join([path, *steps])
            key = steps[-1] if steps else path
            message, hint = _spoken(item, key, form, content, steps)
            if (where_path, message) in seen:
                continue
            seen.add((where_path, message))
            place = self.places.get(where_path) or self.nearest(where_path)
            self.report("shape", f"{path}: {message}", place, hint)

    def nearest(self, path: str) -> Place:
        while path:
            if path in self.places:
                return self.places[path]
            path = path.rpartition(".")[0]
        return Place(self.file)


def _plain(value: Any) -> Any:
    """Turn ruamel's values into plain ones; a date stays a text as it would be written."""
    if isinstance(value, Mapping):
        return {str(key) if isinstance(key, str) else key: _plain(item) for key, item in value.items()}
    if isinstance(value, CommentedSeq | list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return value


def _spoken(item: Any, key: str, form: type[BaseModel], content: object, steps: Sequence[str]) -> tuple[str, str]:
    """Turn pydantic's words into (message, hint)."""
    match item["type"]:
        case "extra_forbidden":
            known = [field.alias or name for name, field in form.model_fields.items()] if len(steps) == 1 else []
            return f"there is no key `{key}` here", near_name(key, known)
        case "missing":
            return f"`{key}` is missing", ""
        case "value_error":
            return str(item["ctx"]["error"]), ""
        case "literal_error":
            return f"`{key}` is {item['input']!r}", f"one of {item['ctx']['expected']}"
        case "string_type":
            return f"`{key}` is a text", "put it in quotes"
        case "model_type" | "dict_type" | "model_attributes_type" | "mapping_type":
            return f"`{key}` is a mapping of keys to values", ""
        case "too_short":
            return f"`{key}` is empty", ""
    return f"`{key}`: {item['msg'].lower()}", ""


def _yaml_type(value: object) -> str:
    return (
        "true or false" if isinstance(value, bool) else "a number" if isinstance(value, int | float) else "not a text"
    )


def _yaml_hint(error: MarkedYAMLError) -> str:
    text = f"{error.problem} {error.context}"
    if "mapping values are not allowed" in text or "expected ',' or" in text or "flow" in text:
        return "quote the expression: '…'"
    if "\\t" in text or "tab" in text:
        return "indent with blanks, not tabs"
    if "cannot start any token" in text or "undefined alias" in text:
        return "put the value in quotes"
    return ""
