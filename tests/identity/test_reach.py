"""Linking around what is new gives what linking everybody gives, whatever comes in whatever portions."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.identity.people import Town
from tierwise.store import Store

values = st.fixed_dictionaries(
    {},
    optional={
        "id_number": st.sampled_from(["ID-1", "ID-2"]),
        "phone": st.sampled_from(["13824680131", "13824680132", "13824680133"]),
        "email": st.sampled_from(["a@x.cn", "b@x.cn"]),
        "device": st.sampled_from(["d1", "d2"]),
        "cookie": st.sampled_from(["c1", "c2"]),
    },
)
portions = st.lists(st.lists(values, min_size=1, max_size=4), min_size=2, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(portions)
def test_portion_by_portion_is_as_all_at_once(new_store: Path, brought: list[list[dict[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        shutil.copyfile(new_store, path)
        with Store.open(path, key_file=Path(folder) / "master.key") as store:
            town = Town(store)
            town.link()
            for number, portion in enumerate(brought):
                town.link(town.add({f"{number}-{place}": held for place, held in enumerate(portion)}))
            found = town.together()
            report = town.link()
            assert report["moved"] == 0
            assert town.together() == found
