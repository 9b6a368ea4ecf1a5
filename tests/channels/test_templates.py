"""Templates say something and do nothing: what they may hold, what they fill in, and every way out of that."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.channels.templates import MOST_CHARACTERS, Template
from tierwise.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("没有字段\n", {}, "没有字段\n"),
        ("{{ person.name }}您好", {"person.name": "李雷"}, "李雷您好"),
        ("{{ spend | money }} 元", {"spend": Decimal("12345.5")}, "12,345.50 元"),
        ("{{ points|whole }}", {"points": 1200.0}, "1,200"),
        ("{{ share|percent }}", {"share": 0.256}, "26%"),
        ("{{ at|date }} {{ at|day }}", {"at": datetime(2026, 3, 1, 8)}, "2026-03-01 2026年3月1日"),
        ("{{ at }}", {"at": date(2026, 3, 1)}, "2026-03-01"),
        ("{{ name|truncate(3) }}", {"name": "一二三四"}, "一二…"),
        ("{{ name|upper }}{{ name|lower }}", {"name": "Ab"}, "ABab"),
        ("{{ name|default('您') }}", {}, "您"),
        ("{{ name|default('您') }}", {"name": ""}, "您"),
        ("{{ spend|money|default('0') }}", {}, "0"),
        ("{% if grade == 'gold' %}金{% elif grade == 'silver' %}银{% else %}普{% endif %}", {"grade": "silver"}, "银"),
        ("{% if n >= 3 and not vip %}a{% endif %}{% if n < 3 or vip %}b{% endif %}", {"n": 4, "vip": False}, "a"),
        ("{% if name %}{{ name }}{% else %}您{% endif %}", {}, "您"),
        ("{% if spend > 100 %}多{% else %}少{% endif %}", {}, "少"),
        ("{% if spend != 100 %}别{% endif %}", {}, "别"),
        ("{{ vip }}", {"vip": True}, "是"),
    ],
)
def test_what_is_filled_in(text: str, values: dict[str, Any], said: str) -> None:
    assert Template(text).render(values) == said


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 10 ** 9 }}",
        "{{ a * 3 }}",
        "{{ a ~ b }}",
        "{{ a() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ a['b'] }}",
        "{{ a[0] }}",
        "{{ [1, 2] }}",
        "{{ {'a': 1} }}",
        "{% for x in a %}x{% endfor %}",
        "{% set a = 1 %}",
        "{% macro a() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{% raw %}{% endraw %}{{ x.y() }}",
        "{{ a | attr('b') }}",
        "{{ a | tojson }}",
        "{{ a | default(b) }}",
        "{{ a | truncate('3') }}",
        "{{ a | truncate }}",
        "{{ a | default('x', true) }}",
        "{{ a if b else c }}",
        "{{ a is defined }}",
        "{{ 1 < a < 3 }}",
        "{{ a in b }}",
        "{{ self }}{{ self.x() }}",
        "{% call a() %}{% endcall %}",
        "{% filter upper %}a{% endfilter %}",
        "{{ open",
        "{% if %}",
        "{{ " + "(" * 50 + "a" + ")" * 50 + ".b() }}",
        "{% if a %}" * 30 + "{% endif %}" * 30,
        "{{ " + "not " * 30 + "a }}",
        "x" * (MOST_CHARACTERS + 1),
        "{{ " + "a." * 3_000 + "a }}",
    ],
    ids=lambda text: text[:40],
)
def test_what_a_template_may_not_have(text: str) -> None:
    with pytest.raises(BadRequest):
        Template(text).render({"a": 1, "b": 2, "c": 3})


def test_fields_that_are_needed_and_those_with_a_way_out() -> None:
    template = Template("{{ a }}{{ b | default('x') }}{% if c %}{{ d.e }}{% endif %}{{ f | money }}")
    assert template.fields == {"a", "b", "c", "d.e", "f"}
    assert template.needed == {"a", "d.e", "f"}


def test_a_field_that_is_missing_is_refused_and_named() -> None:
    with pytest.raises(BadRequest) as caught:
        Template("{{ person.name }}您好").render({"person": "x"})
    assert caught.value.details == {"field": "person.name"}
    with pytest.raises(BadRequest, match="cannot be written as money"):
        Template("{{ name | money }}").render({"name": "李雷"})
    with pytest.raises(BadRequest, match="cannot be compared"):
        Template("{% if name > 3 %}{% endif %}").render({"name": "李雷"})


@given(st.text(max_size=60))
def test_what_is_filled_in_is_never_read_again(value: str) -> None:
    """A name that looks like a template, or like markup, stays a name."""
    said = Template("<{{ name | default('-') }}>").render({"name": "{{ secret }}" + value})
    assert said.startswith("<{{ secret }}")
    assert "\n" not in said
    page = Template("<p>{{ name }}</p>", html=True).render({"name": f"<script>{value}</script>"})
    assert page.count("<") == 2


def test_marks_that_would_change_the_text_around_are_left_out() -> None:
    name = "a\u202eb\u200bc\x00\r\nBcc: x"
    assert Template("{{ name }}").render({"name": name}) == "abc Bcc: x"
    with pytest.raises(BadRequest, match="are possible"):
        Template("{{ name }}").render({"name": "x" * (MOST_CHARACTERS + 1)})
