"""What was found, in a sentence of either language that somebody who knows no statistics can act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from scipy.special import ndtri

from tierwise.evaluation.comparison import Effect
from tierwise.evaluation.design import Design, Metric

__all__ = ["KINDS", "Finding", "Judged", "find"]

#: What can be found of one comparison.
KINDS: Final = ("better", "worse", "unclear", "go_on", "too_little")
#: How often an effect would have been found that is said to have been possible to find.
_POWER: Final = 0.8
_CORRECTED: Final = {
    "holm": ("霍尔姆校正", "Holm"),
    "benjamini_hochberg": ("本杰明尼—霍赫贝格校正", "Benjamini-Hochberg"),
    "none": ("未校正", "not corrected"),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a difference is judged by: p once all comparisons are allowed for, or the bound of the look."""

    comparisons: int
    p_adjusted: float | None = None
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric of one arm: `kind` is one of `KINDS`, `said` the sentence; without an effect it says why."""

    metric: str
    arm: str
    guardrail: bool
    kind: str
    said: Mapping[str, str]
    effect: Effect | None = None
    judged: Judged | None = None
    interval: tuple[float, float] | None = None
    detectable: float | None = None
    binary: bool = False
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        found: dict[str, Any] = {
            "metric": self.metric,
            "arm": self.arm,
            "guardrail": self.guardrail,
            "verdict": self.kind,
            "said": dict(self.said),
        }
        if self.effect is None or self.judged is None or self.interval is None:
            return found
        effect = self.effect
        return found | {
            "control": effect.control,
            "treatment": effect.treatment,
            "effect": effect.effect,
            "low": self.interval[0],
            "high": self.interval[1],
            "relative": effect.relative,
            "relative_low": effect.relative_low,
            "relative_high": effect.relative_high,
            "p": effect.p,
            "p_adjusted": self.judged.p_adjusted,
            "z": effect.z,
            "bound": self.judged.bound,
            "comparisons": self.judged.comparisons,
            "explained": effect.explained,
            "detectable": self.detectable,
            "binary": self.binary,
        }


def find(design: Design, metric: Metric, arm: str, binary: bool, effect: Effect, judged: Judged) -> Finding:
    """Return what a comparison says.

    Args:
        design: The experiment.
        metric: What was compared.
        arm: With the control.
        binary: Whether the metric is a share of customers.
        effect: What the arm did.
        judged: What it is judged by.
    """
    if judged.bound is not None:
        interval = effect.at(judged.bound)
        shown = abs(effect.z) >= judged.bound
        nearest = judged.bound
    else:
        interval = effect.low, effect.high
        shown = judged.p_adjusted is not None and judged.p_adjusted <= design.alpha
        nearest = float(-ndtri(design.alpha / 2 / (judged.comparisons if design.correction != "none" else 1)))
    detectable = (nearest + float(ndtri(_POWER))) * effect.error
    last = design.looks is None or design.look == len(design.looks.fractions)
    if shown:
        good = effect.effect < 0 if metric.guardrail else effect.effect > 0
        kind = "better" if good else "worse"
    else:
        kind = "unclear" if last else "go_on"
    words = _Words(design, metric, arm, binary, effect, judged, interval, detectable)
    said = {"zh": words.zh(kind), "en": words.en(kind)}
    return Finding(metric.name, arm, metric.guardrail, kind, said, effect, judged, interval, detectable, binary)


@dataclass(frozen=True, slots=True)
class _Words:
    """The numbers of one comparison as they are written."""

    design: Design
    metric: Metric
    arm: str
    binary: bool
    effect: Effect
    judged: Judged
    interval: tuple[float, float]
    detectable: float

    def en(self, kind: str) -> str:
        of = f"{self.metric.name} of {self.arm}: {self._value(self.effect.treatment)} against "
        of += f"{self._value(self.effect.control)} of {self.design.control}, {self._change('en')}, {self._chance('en')}"
        if kind in ("better", "worse"):
            moved = "rises" if self.effect.effect > 0 else "falls"
            harm = "; this is harm" if kind == "worse" else ""
            return f"{self.arm} works on {self.metric.name}: it {moved}, more than chance explains{harm}. {of}."
        if kind == "go_on":
            return f"nothing is decided yet: go on until the next look. {of}."
        return (
            f"no difference is shown. {of}. A true difference of {self._size('en')} would have been found four times "
            "in five."
        )

    def zh(self, kind: str) -> str:
        of = f"{self.arm} 的 {self.metric.name} 为 {self._value(self.effect.treatment)}，对照 {self.design.control} 为 "
        of += f"{self._value(self.effect.control)}，{self._change('zh')}，{self._chance('zh')}"
        if kind in ("better", "worse"):
            moved = "上升" if self.effect.effect > 0 else "下降"
            harm = "，是损害" if kind == "worse" else ""
            return f"{self.arm} 使 {self.metric.name} {moved}，不是偶然{harm}。{of}。"
        if kind == "go_on":
            return f"还不能下结论，请继续到下一次查看。{of}。"
        return f"看不出差别。{of}。若真有 {self._size('zh')} 的差别，五次中有四次能看出。"

    def _value(self, value: float) -> str:
        return f"{value:.2%}" if self.binary else _number(value)

    def _change(self, language: str) -> str:
        low, high = (self._signed(value) for value in self.interval)
        confidence = f"{1 - self.design.alpha:.4g}"
        shown = f"{float(confidence):.4g}" if float(confidence) * 100 % 1 else f"{float(confidence):.0%}"
        unit = {"zh": " 个百分点", "en": " points"}[language] if self.binary else ""
        if language == "zh":
            return f"相差 {self._signed(self.effect.effect)}{unit}（{shown} 区间 {low} 至 {high}）"
        return f"a difference of {self._signed(self.effect.effect)}{unit} ({shown} interval {low} to {high})"

    def _chance(self, language: str) -> str:
        if self.judged.bound is not None and self.design.looks is not None:
            reached = f"{abs(self.effect.z):.2f}", f"{self.judged.bound:.2f}"
            look = f"{self.design.look}/{len(self.design.looks.fractions)}"
            if language == "zh":
                return f"第 {look} 次查看：达到 {reached[0]} 倍标准误，界限 {reached[1]}"
            return f"look {look}: {reached[0]} standard errors, the bound is {reached[1]}"
        p = self.judged.p_adjusted if self.judged.p_adjusted is not None else self.effect.p
        shown = f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"
        if self.judged.comparisons < 2:
            return shown
        zh, en = _CORRECTED[self.design.correction]
        return {
            "zh": f"{shown}（{self.judged.comparisons} 项比较，{zh}）",
            "en": f"{shown} ({self.judged.comparisons} comparisons, {en})",
        }[language]

    def _size(self, language: str) -> str:
        if self.binary:
            return f"{self.detectable * 100:.2f}" + {"zh": " 个百分点", "en": " points"}[language]
        return _number(self.detectable)

    def _signed(self, value: float) -> str:
        return f"{value * 100:+.2f}" if self.binary else ("+" if value >= 0 else "") + _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
