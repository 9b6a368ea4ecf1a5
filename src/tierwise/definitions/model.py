"""What a brand declares, as frozen objects: the same whether they came from YAML or from Python."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tierwise.definitions.language.keeping import Keeping
from tierwise.definitions.language.kinds import KIND_NAMES
from tierwise.definitions.language.times import Zone, parse_date, parse_duration, parse_instant
from tierwise.definitions.schedules import JOB_KINDS, cron_problem

__all__ = [
    "OTHERWISE",
    "EngineForm",
    "Expression",
    "Form",
    "Keep",
    "Label",
    "Lookup",
    "Parameter",
    "Segment",
    "Settings",
    "StreamForm",
    "Tag",
    "Tier",
    "Tiering",
    "known_zone",
]  # fmt: skip

#: The rule of the last tier of every tiering.
OTHERWISE: Final = "otherwise"
_A_DAY: Final = 86_400_000_000  # µs


class Form(BaseModel):
    """The base of everything declared: frozen, unknown keys refused, texts never guessed from numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _expression(value: object) -> object:
    """An expression is text; a bare ``true`` or ``3`` in YAML is one too."""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("the number is too large, or none at all; at most 18 digits are kept")
    return str(value) if isinstance(value, int | float) else value


Expression = Annotated[str, BeforeValidator(_expression)]


def known_zone(value: str) -> str:
    """Return the name of a time zone.

    Raises:
        ValueError: when there is none of this name.
    """
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone `{value}`; one is written Asia/Shanghai") from error
    return value


class Label(Form):
    """What people call a thing, in Chinese and in English; either may be missing."""

    zh: str = ""
    en: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"zh": value, "en": value} if isinstance(value, str) else value

    def text(self, language: str, name: str) -> str:
        """Return the label in a language, or the other one, or the name."""
        first, second = (self.zh, self.en) if language == "zh" else (self.en, self.zh)
        return first or second or name.replace("_", " ")


class Tag(Form):
    """A named expression about a customer.

    Example:
        >>> Tag.model_validate("count(orders)").value
        'count(orders)'
    """

    value: Expression
    label: Label = Label()
    about: str = ""
    unit: str = ""
    sensitive: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | Tag) else {"value": value}


class Segment(Form):
    """A named condition, or a list of customers that is uploaded; segments may overlap."""

    rule: Expression = ""
    list: str = ""
    label: Label = Label()
    about: str = ""
    sensitive: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | Segment) else {"rule": value}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not self.rule and not self.list:
            raise ValueError("`rule` is missing")
        if self.rule and self.list:
            raise ValueError("a segment has a `rule` or is a `list`, not both")
        return self

    @property
    def condition(self) -> str:
        """Return the rule; on a list nobody is by rule."""
        return self.rule or "False"


class Tier(Form):
    """One tier: the condition to be in it, or `otherwise`; `stay` is the condition to remain in it once there."""

    rule: Expression
    stay: Expression | None = None
    label: Label = Label()

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | Tier) else {"rule": value}

    @property
    def is_otherwise(self) -> bool:
        """Whether it takes everyone the tiers above left."""
        return self.rule.strip() == OTHERWISE


class Keep(Form):
    """What makes a tiering a programme: how long a tier is kept, and what happens when it is not earned again."""

    term: str
    downgrade: Literal["one_step", "to_qualified"] = "one_step"
    grace: str | None = None
    on_refund: Literal["reassess", "ignore"] = "reassess"

    @field_validator("term", "grace")
    @classmethod
    def _length(cls, value: str | None) -> str | None:
        length = None if value is None else parse_duration(value)
        if value is not None and (length is None or not (length.months or length.micros)):
            raise ValueError(f"`{value}` is not a length of time, written 365d or 1y")
        return value

    @property
    def keeping(self) -> Keeping:
        """Return what is declared with its lengths of time read."""
        term, grace = parse_duration(self.term), parse_duration(self.grace) if self.grace else None
        assert term is not None
        return Keeping(term, grace, self.downgrade == "one_step", self.on_refund == "reassess")


class Tiering(Form):
    """Tiers in order, first match wins: every customer is in exactly one.

    With `keep` it is a programme, whose tiers are listed best first; with a tier's `stay` it remembers too.
    """

    tiers: Mapping[str, Tier] = Field(min_length=1)
    label: Label = Label()
    about: str = ""
    ordered: bool = False
    keep: Keep | None = None

    @property
    def remembers(self) -> bool:
        """Whether the tier a customer is in depends on the tier they were in."""
        return self.keep is not None or any(tier.stay is not None for tier in self.tiers.values())


class Parameter(Form):
    """A number, text, date or length of time that rules share."""

    type: str
    default: Any
    label: Label = Label()
    unit: str = ""

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in KIND_NAMES:
            raise ValueError(f"there is no type `{value}`; one of {', '.join(KIND_NAMES)}")
        return value


class Lookup(Form):
    """A small reference table by code: a file, its key column, and the types of the columns that are not texts."""

    file: str
    key: str
    types: Mapping[str, str] = Field(default_factory=dict)
    encoding: str | None = None
    delimiter: str = ","
    label: Label = Label()

    @field_validator("types")
    @classmethod
    def _known(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return _known_types(value)


class StreamForm(Form):
    """A stream the brand declares: its columns with their types; of which stream's rows its own are part, by what."""

    columns: Mapping[str, str] = Field(default_factory=dict)
    of: str = ""
    by: str = ""
    label: Label = Label()
    about: str = ""

    @field_validator("columns")
    @classmethod
    def _known(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return _known_types(value)


def _known_types(types: Mapping[str, str]) -> Mapping[str, str]:
    for column, kind in types.items():
        if kind not in KIND_NAMES or kind == "duration":
            known = ", ".join(name for name in KIND_NAMES if name != "duration")
            raise ValueError(f"column `{column}`: there is no type `{kind}`; one of {known}")
    return types


def _text(value: object) -> object:
    """A setting of Spark is a text; a number or a boolean in YAML is written as one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class EngineForm(Form):
    """Where the answers are computed: on this machine (``duckdb``), or on a Spark cluster.

    `master` is the cluster's address, `folder` what the project's folder is called by the cluster's machines (a path or
    a URL that Hadoop knows; by default as here), `conf` further settings of Spark by their own names.

    Example:
        >>> EngineForm.model_validate({"kind": "spark", "master": "spark://host:7077"}).master
        'spark://host:7077'
    """

    kind: Literal["duckdb", "spark"] = "duckdb"
    master: str = ""
    folder: str = ""
    conf: Mapping[str, Annotated[str, BeforeValidator(_text)]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind == "spark" and not re.match(r"spark://.|local(\[|$)|yarn$|k8s://.", self.master):
            ways = "spark://host:7077, yarn, k8s://https://host:443 or local[2]"
            raise ValueError(f"engine: a Spark engine needs `master:`, the cluster's address: {ways}")
        if self.kind == "duckdb" and (self.master or self.folder or self.conf):
            raise ValueError("engine: `master`, `folder` and `conf` are Spark's; write `kind: spark` with them")
        for name in self.conf:
            if not name.startswith("spark."):
                raise ValueError(f"engine: `{name}` is no setting of Spark; they begin with `spark.`")
        return self


class Settings(Form):
    """``tierwise.yaml``: what holds for the whole project.

    `as_of` is ``now``, ``latest row`` or an instant; `earliest` is the day before which a row's time is not believed;
    `schedules` says when a worker does something by itself: a kind of job and a cron line in the project's zone, and
    `jobs_kept` for how long a worker leaves the jobs that have ended in the list.
    `value` names the tag that says what a customer is worth, for what is at stake when rules are edited.
    """

    name: str
    timezone: str = "Asia/Shanghai"
    currency: str = "CNY"
    locale: Literal["zh-CN", "en"] = "zh-CN"
    engine: EngineForm = EngineForm()
    store: str = "store/tierwise.db"
    as_of: str = "now"
    earliest: str = "2000-01-01"
    value: str = ""
    schedules: Mapping[str, str] = Field(default_factory=dict)
    jobs_kept: str = "90d"

    @field_validator("as_of", "earliest", mode="before")
    @classmethod
    def _dates_as_text(cls, value: object) -> object:
        return value.isoformat() if isinstance(value, date) else value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)

    @field_validator("currency")
    @classmethod
    def _currency(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Z]{3}", value):
            raise ValueError("a currency is three capital letters, CNY")
        return value

    @field_validator("schedules")
    @classmethod
    def _schedules(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for kind, line in value.items():
            if kind not in JOB_KINDS:
                raise ValueError(f"there is no job `{kind}`; one of {', '.join(JOB_KINDS)}")
            if problem := cron_problem(line):
                raise ValueError(f"{kind}: {problem}")
        return value

    @field_validator("jobs_kept")
    @classmethod
    def _kept(cls, value: str) -> str:
        kept = parse_duration(value)
        if kept is None or kept.is_calendar or kept.micros < _A_DAY:
            raise ValueError(f"`{value}` is no length of time of at least a day; write 90d")
        return value

    @model_validator(mode="after")
    def _instants(self) -> Self:
        if parse_date(self.earliest) is None:
            raise ValueError(f"earliest: {self.earliest} is not a date, written 2000-01-01")
        known = self.as_of in ("now", "latest row") or parse_date(self.as_of) is not None
        if not known and parse_instant(self.as_of, Zone(self.timezone)) is None:
            ways = "now, latest row, 2026-03-01 or 2026-03-01 08:00"
            raise ValueError(f"as_of: {self.as_of} is not an instant; write {ways}")
        return self
