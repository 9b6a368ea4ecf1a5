"""The ledger follows the rows: what they are worth is earned, what they are no longer is taken back, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tierwise.definitions.language.times import Zone
from tierwise.definitions.points import PointsProgramme
from tierwise.loyalty import Due, deeds
from tierwise.store import Actor, Earn, Given, Request, Reverse

NOW = datetime(2026, 6, 1, tzinfo=UTC)
AT = datetime(2026, 5, 31)
ANN = Actor("cli", "ann")
CLUB = PointsProgramme.model_validate(
    {
        "pending": "14d",
        "expires": "1y",
        "earn": {"buy": {"from": "orders"}, "review": {"from": "events", "each": "day"}},
    }
)


def asked(due: list[Due], given: list[Given]) -> list[Request]:
    found, old = deeds(due, given, CLUB, Zone("Asia/Shanghai"), NOW, ANN)
    assert old == 0
    return found


def test_a_new_row_earns_with_the_dates_of_its_own_time() -> None:
    [earn] = asked([Due("buy", 7, "A1", AT, 120)], [])
    assert isinstance(earn, Earn)
    assert (earn.customer_id, earn.points, earn.rule, earn.reference) == (7, 120, "buy", "A1")
    assert earn.available_at == datetime(2026, 6, 14, tzinfo=UTC)
    assert earn.expires_at == datetime(2027, 6, 14, tzinfo=UTC)


def test_what_was_given_is_not_given_again() -> None:
    assert asked([Due("buy", 7, "A1", AT, 120)], [Given(3, "buy", "A1", 120)]) == []


def test_a_refund_takes_back_what_was_given_last_first() -> None:
    taken = asked([Due("buy", 7, "A1", AT, 50)], [Given(3, "buy", "A1", 100), Given(9, "buy", "A1", 20)])
    assert [(one.entry_id, one.points) for one in taken if isinstance(one, Reverse)] == [(9, 20), (3, 50)]


def test_a_corrected_order_earns_the_rest_under_another_key() -> None:
    [first] = asked([Due("buy", 7, "A1", AT, 100)], [])
    [more] = asked([Due("buy", 7, "A1", AT, 130)], [Given(3, "buy", "A1", 100)])
    assert isinstance(more, Earn) and more.points == 30 and more.key != first.key


def test_a_row_that_is_gone_gives_back_unless_its_rule_is_gone_too() -> None:
    given = [Given(3, "buy", "A1", 100), Given(4, "an old rule", "A1", 100)]
    assert [one.entry_id for one in asked([], given) if isinstance(one, Reverse)] == [3]


def test_rows_of_long_ago_earn_nothing() -> None:
    found, old = deeds([Due("buy", 7, "A1", AT - timedelta(days=400), 9)], [], CLUB, Zone("UTC"), NOW, ANN)
    assert (found, old) == ([], 1)


def test_long_references_make_keys_of_their_own() -> None:
    found = asked([Due("buy", 7, "x" * 300 + str(number), AT, 1) for number in range(3)], [])
    keys = {one.key for one in found}
    assert len(keys) == 3 and max(map(len, keys)) <= 255


def test_a_day_or_a_number_that_several_have_is_each_ones_own() -> None:
    due = [Due("review", 7, "2026-05-31", AT, 5), Due("review", 8, "2026-05-31", AT, 5), Due("buy", 7, "A1", AT, 1)]
    found = asked([*due, Due("buy", 8, "A1", AT, 2)], [])
    assert [one.reference for one in found] == ["2026-05-31 #7", "2026-05-31 #8", "A1 #7", "A1 #8"]
    assert len({one.key for one in found}) == 4
    assert asked(due[:1], [Given(3, "review", "2026-05-31 #7", 5)]) == []
