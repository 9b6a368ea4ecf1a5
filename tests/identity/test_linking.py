"""Records become customers by what they share, and only by that."""

from __future__ import annotations

from tests.identity.people import Town, groups, singles


def test_what_is_shared_links_however_it_is_written(town: Town) -> None:
    town.add({"a": {"phone": "138-2468-0135"}, "b": {"phone": "+86 13824680135", "email": "Li@x.cn"}})
    town.add({"c": {"email": " li@X.cn "}, "d": {"phone": "13924680135"}}, space="app")
    report = town.link()
    assert town.together() == groups("a b c", "d")
    assert town.customers() == {"a": 1, "b": 1, "c": 1, "d": 4}, "the oldest number survives"
    assert report["moved"] == 2
    assert report["identifiers"]["phone"]["edges"] == 1


def test_linking_again_changes_nothing(town: Town) -> None:
    town.add({"a": {"phone": "13824680135"}, "b": {"phone": "13824680135"}})
    first = town.link()
    again = town.link()
    assert again["moved"] == 0
    assert again["identity_version"] == first["identity_version"]


def test_a_phone_of_too_many_links_nobody(town: Town) -> None:
    town.add({f"p{n}": {"phone": "13824680135"} for n in range(6)} | {"x": {"phone": "13924680135"}})
    report = town.link()
    assert town.together() == singles([*(f"p{n}" for n in range(6)), "x"])
    assert report["identifiers"]["phone"]["hubs"] == 1


def test_a_number_that_becomes_a_crowd_lets_its_holders_go(town: Town) -> None:
    town.add({f"p{n}": {"phone": "13824680135"} for n in range(5)})
    town.link()
    assert len(town.together()) == 1
    town.link(town.add({"p5": {"phone": "13824680135"}}))
    assert town.together() == singles(f"p{n}" for n in range(6))
    assert town.customers()["p0"] == 1


def test_placeholders_link_nobody(town: Town) -> None:
    nothing = {"phone": "13800000000", "email": "test@test.com", "device": "unknown", "cookie": "UNKNOWN"}
    town.add({"a": nothing, "b": nothing, "c": {"phone": "", "email": " "}, "d": {"phone": "", "email": " "}})
    report = town.link()
    assert town.together() == singles("abcd")
    assert report["identifiers"]["phone"]["placeholders"] == 2


def test_of_weak_identifiers_two_have_to_agree(town: Town) -> None:
    town.add(
        {
            "a": {"device": "d1", "cookie": "c1"},
            "b": {"device": "d1", "cookie": "c1"},
            "c": {"device": "d1"},
            "d": {"cookie": "c1"},
        }
    )
    town.link()
    assert town.together() == groups("a b", "c", "d")


def test_two_verified_numbers_are_two_people(town: Town) -> None:
    town.add({"a": {"id_number": "ID-1", "phone": "13824680135"}, "b": {"id_number": "ID-2", "phone": "13824680135"}})
    town.add({"c": {"phone": "13824680135"}, "d": {"id_number": "id1"}})
    report = town.link()
    assert town.together() == groups("a d", "b", "c"), "nobody knows whose the telephone is, so it is nobody's"
    assert report["identifiers"]["phone"]["contested"] == 1


def test_a_chain_between_verified_numbers_breaks_where_it_is_weakest(town: Town) -> None:
    town.add(
        {
            "a": {"id_number": "ID-1", "phone": "13824680135"},
            "b": {"phone": "13824680135", "email": "x@y.cn"},
            "c": {"id_number": "ID-2", "email": "x@y.cn"},
        }
    )
    town.link()
    assert town.together() == groups("a b", "c"), "the telephone stands before the e-mail address"


def test_a_record_with_two_verified_numbers_links_nobody(town: Town) -> None:
    town.add({"a": {"id_number": "ID-1"}, "b": {"id_number": ["ID-1", "ID-2"]}, "c": {"id_number": "ID-2"}})
    report = town.link()
    assert town.together() == singles("abc")
    assert report["contradictory"] == 1


def test_what_hangs_on_the_way_stays_linked(town: Town) -> None:
    town.add(
        {
            "a": {"id_number": "ID-1", "phone": "13824680131"},
            "x": {"phone": ["13824680131", "13824680132", "13824680133"]},
            "b": {"id_number": "ID-2", "phone": "13824680132"},
            "y": {"phone": "13824680133"},
        }
    )
    town.link()
    assert town.together() == groups("a", "b", "x y")


def test_adding_some_gives_what_linking_everybody_would(town: Town) -> None:
    town.add({"a": {"phone": "13824680131"}, "b": {"email": "b@x.cn"}, "z": {"phone": "13924680135"}})
    town.link()
    report = town.link(town.add({"c": {"phone": "13824680131", "email": "b@x.cn"}}))
    assert town.together() == groups("a b c", "z")
    assert not report["everybody"]
    assert report["records"] == 3, "who is not concerned is not looked at"
    assert town.link()["moved"] == 0
