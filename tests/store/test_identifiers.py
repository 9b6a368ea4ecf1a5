"""One identifier has one canonical form, however it is written; what is none has no form."""

from __future__ import annotations

import pytest

from tierwise.definitions.streams import PERSONAL_ROLES
from tierwise.store.identifiers import CANONICAL, canonical, mask

SAME: dict[str, list[tuple[str, ...]]] = {
    "phone": [
        (
            "+8613800138000",
            "13800138000",
            "138 0013 8000",
            "+86 138-0013-8000",
            "008613800138000",
            "１３８００１３８０００",
        ),
        ("+442079460000", "+44 20 7946 0000", "0044 2079460000"),
        ("+14155552671", "+1 415 555 2671", "0014155552671", "+1 (415) 555-2671"),
        ("+8614155552671", "14155552671", "+86 141 5555 2671"),
        ("02152345678", "021-5234 5678", "(021)52345678"),
    ],
    "email": [("li.na@example.com", " Li.Na@EXAMPLE.com", "ｌi.na＠example.com")],
    "id_number": [("11010519491231002X", "11010519491231002x", "110105 19491231 002X")],
    "openid": [("oAb-1_c", " oAb-1_c ")],
}


@pytest.mark.parametrize(("role", "forms"), [(role, forms) for role, cases in SAME.items() for forms in cases])
def test_one_form(role: str, forms: tuple[str, ...]) -> None:
    assert {canonical(role, form) for form in forms} == {forms[0]}
    assert canonical(role, forms[0]) == forms[0], "the canonical form of a canonical form is itself"


@pytest.mark.parametrize(
    ("role", "text"), [("phone", "n/a"), ("phone", "1234"), ("phone", "1" * 16), ("email", "nobody"), ("email", "a b@c"), ("id_number", "--"), ("openid", " ")]
)  # fmt: skip
def test_none(role: str, text: str) -> None:
    assert canonical(role, text) == ""


def test_the_case_of_an_openid_counts() -> None:
    assert canonical("openid", "oAb") != canonical("openid", "oab")


def test_every_role_that_identifies_is_personal() -> None:
    assert set(CANONICAL) < set(PERSONAL_ROLES)


@pytest.mark.parametrize("role", PERSONAL_ROLES)
@pytest.mark.parametrize("text", ["13800138000", "li.na@example.com", "王小芳", "上海市静安区一号", "x"])
def test_a_mask_hides_the_middle(role: str, text: str) -> None:
    masked = mask(role, text)
    assert masked != text or len(text) == 1
    assert len(text) == 1 or "*" in masked
