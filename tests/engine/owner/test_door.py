"""One engine, many processes: whoever holds it answers for the others, readers also while a run works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import tierwise
from tests.engine.owner.processes import HEAD, brand_in, command, finish, json_of, session, start
from tests.projects import NOW, Brand, csv
from tierwise.engine.owner.claim import LOCK_FILE
from tierwise.errors import BadRequest, DefinitionsInvalid, EngineRefused, ProjectBusy, TierwiseError, UnknownName

LATER = ("3,b,2026-05-21,70", "5,d,2026-05-22,5")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    return brand_in(tmp_path_factory.mktemp("first") / "shop")


@pytest.fixture
def shop(first: Brand, tmp_path: Path) -> Brand:
    """A project that has been run once; new orders have come since."""
    brand = first.copy(tmp_path / "shop")
    orders = (brand.folder / "data" / "orders.csv").read_text(encoding="utf-8")
    brand.write({"data/orders.csv": orders + csv("", *LATER).lstrip()})
    return brand


def sizes(brand: Brand) -> dict[str, int]:
    with brand.open(1) as project:
        rows = project.show("tiers").to_pylist()
    return {row["tier"]: row["customers"] for row in rows}


BEFORE, AFTER = {"high": 1, "some": 1, "none": 1}, {"high": 2, "some": 1, "none": 1}


def status(brand: Brand) -> dict[str, Any]:
    with brand.open() as project:
        return project.owner()


# -- one owner ---------------------------------------------------------------------------------------------------------


def test_a_session_answers_for_every_other_process(shop: Brand) -> None:
    with session(shop.folder) as one:
        assert sizes(shop) == BEFORE
        assert status(shop)["pid"] == one.pid, "and nobody else has become the owner"
        for words, says in (
            (("show", "tiers"), "high"), (("explain", "a"), "high"), (("estimate", "spend > 100"), "1 / 3"),
            (("sql", "select count(*) as n from customers"), "3"), (("show", "tables"), "customers"), (("plan",), "changed"),
        ):  # fmt: skip
            assert says in command(shop.folder, *words), words
        assert shop.run(2)["customers"] == 4
        assert sizes(shop) == AFTER
        assert one.ask("project.show('tiers').column('customers').to_pylist()")["answer"] == [2, 1, 1]
    assert status(shop) == {"held": False}


def test_errors_come_through_as_they_are(shop: Brand, tmp_path: Path) -> None:
    def refusals() -> list[tuple[type[TierwiseError], str, str]]:
        found = []
        with shop.open(1) as project:
            for ask in (
                lambda: project.table("custmers"), lambda: project.estimate("spnd > 1"), lambda: project.explain("nobody"),
                lambda: project.sql("DROP TABLE customers"), lambda: project.run("tomorrow"),
                lambda: project.evaluate(tierwise.everyone(NOW.replace(tzinfo=None)), ["spnd"]),
            ):  # fmt: skip
                with pytest.raises(TierwiseError) as refused:
                    ask()
                found.append((type(refused.value), str(refused.value), refused.value.hint))
        return found

    alone = refusals()
    with session(shop.folder):
        assert refusals() == alone
    kinds = [kind for kind, _, _ in alone]
    assert kinds == [UnknownName, DefinitionsInvalid, UnknownName, BadRequest, BadRequest, UnknownName]


def test_tables_cross_whole_with_their_types(shop: Brand) -> None:
    moments = pa.table({"customer_id": [1, 1, 2], "as_of": [NOW.replace(tzinfo=None)] * 3})

    def answers() -> list[pa.Table]:
        with shop.open() as project:
            empty = project.sql("SELECT * FROM customers WHERE customer_id < 0")
            many = project.sql("SELECT range AS x, 'text ' || range AS y FROM range(200000)")
            asked = project.evaluate(tierwise.moments(moments), ["spend", "value", "recent"])
            none = project.evaluate(tierwise.moments(moments.slice(0, 0)), ["value"])
            return [project.table("customers"), project.table("orders"), empty, many, asked, none]

    alone = answers()
    with session(shop.folder):
        through = answers()
    assert [table.schema for table in through] == [table.schema for table in alone]
    assert [table.sort_by(table.column_names[0]) for table in through[:3]] == [
        table.sort_by(table.column_names[0]) for table in alone[:3]
    ]
    assert [table.num_rows for table in through] == [3, 2, 0, 200_000, 3, 0]
    assert through[4].equals(alone[4])


def test_two_projects_of_one_process_share_the_engine(shop: Brand, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(shop.folder, target_is_directory=True)
    with shop.open(1) as one, tierwise.open(link, clock=lambda: NOW) as other:
        assert one.table("customers").num_rows == other.table("customers").num_rows == 3
        one.run()
        assert other.table("customers").num_rows == 4
        one.close()
        assert other.show("tiers").num_rows == 3, "the last one to close lets go"
    assert status(shop) == {"held": False}


def test_threads_of_one_process_ask_at_once(shop: Brand) -> None:
    found: list[int] = []
    with shop.open(1) as project:
        asks = (
            lambda: project.estimate("spend > 100")["of"], lambda: project.sql("SELECT * FROM customers").num_rows,
            lambda: project.run()["customers"], lambda: len(project.explain("a")["tierings"]) + 2,
        )  # fmt: skip
        threads = [threading.Thread(target=lambda ask=ask: found.append(ask())) for ask in asks * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert len(found) == 12 and set(found) <= {3, 4}, found


def test_six_commands_at_once(shop: Brand) -> None:
    asked = {
        "run": ("run",), "run again": ("run",), "show": ("show", "tiers", "--json"), "explain": ("explain", "a", "--json"),
        "estimate": ("estimate", "spend > 100", "--json"), "sql": ("sql", "select count(*) as n from customers", "--json"),
    }  # fmt: skip
    started = {name: start(shop.folder, *words) for name, words in asked.items()}
    for name in ("run", "run again"):
        assert "4 customers" in finish(started[name])
    answer = {name: json_of(started[name]) for name in ("show", "explain", "estimate", "sql")}
    assert [row["customers"] for row in answer["show"]] in ([1, 1, 1], [2, 1, 1])
    assert answer["explain"]["tierings"][0]["tier"] == "high"
    assert (answer["estimate"]["count"], answer["estimate"]["of"]) in ((1, 3), (2, 4))
    assert answer["sql"] in ([{"n": 3}], [{"n": 4}])
    assert sizes(shop) == AFTER
    with shop.open() as project:
        assert project.show("runs").column("state").to_pylist() == ["done"] * 3


# -- while a run works -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["build", "stage"])
def test_readers_see_the_last_good_state_until_the_run_is_done(shop: Brand, step: str) -> None:
    with session(shop.folder) as one, shop.open(1) as project:
        one.pause_in(step)
        assert sizes(shop) == BEFORE
        assert project.estimate("spend > 100")["of"] == 3
        assert project.sql("SELECT count(*) AS n FROM orders").to_pylist() == [{"n": 2}]
        assert project.table("known_customers").num_rows == 3
        assert project.explain("b")["tierings"][0]["tier"] == "some"
        assert "high" in command(shop.folder, "show", "tiers")
        one.go_on()
        assert "run_id" in one.hear()
        assert sizes(shop) == AFTER
        assert project.sql("SELECT count(*) AS n FROM orders").to_pylist() == [{"n": 4}]


def test_a_second_run_waits_its_turn_in_clear_words(shop: Brand) -> None:
    with session(shop.folder) as one:
        one.pause_in("build")
        refused = command(shop.folder, "run", "--no-wait", code=1)
        assert f"run 2 of system, pid {one.pid} is at work" in refused and "--no-wait" in refused
        second = start(shop.folder, "run")
        assert second.stderr is not None
        assert second.stderr.readline() == f"waiting for run 2 of system, pid {one.pid}\n"
        shown = status(shop)["doing"]
        assert [(doing["title"], doing["state"]) for doing in shown] == [("run 2", "working"), ("", "waiting")]
        assert "build" in command(shop.folder, "engine", "status")
        one.go_on()
        assert one.hear() == {"run_id": 2}
        assert "4 customers" in finish(second)
    with shop.open() as project:
        runs = project.show("runs").to_pylist()
        assert [(run["run_id"], run["state"]) for run in runs] == [(3, "done"), (2, "done"), (1, "done")]


def test_a_client_that_is_interrupted_leaves_no_work_behind(shop: Brand) -> None:
    with session(shop.folder) as one:
        endless = start(
            shop.folder, "sql", "select count(*) from range(1000000) a, range(1000000) b where a.range > b.range"
        )
        until(lambda: [doing["state"] for doing in status(shop)["doing"]] == ["working"])
        endless.send_signal(signal.SIGINT)
        assert "interrupted" in finish(endless, 130)
        until(lambda: status(shop)["doing"] == [])
        one.pause_in("build")
        waiting = start(shop.folder, "run")
        until(lambda: len(status(shop)["doing"]) == 2)
        waiting.send_signal(signal.SIGINT)
        finish(waiting, 130)
        until(lambda: len(status(shop)["doing"]) == 1)
        one.go_on()
        assert one.hear() == {"run_id": 2}
    assert sizes(shop) == AFTER


def test_a_run_for_a_client_that_goes_away_is_ended_and_said_so(shop: Brand) -> None:
    more = [f"{i},c{i},2026-05-20,{i % 300}" for i in range(10, 60_000)]
    shop.write({"data/orders.csv": csv(HEAD, *more)})
    with session(shop.folder) as one:
        running = start(shop.folder, "run")
        until(lambda: [doing["title"] for doing in status(shop)["doing"]] == ["run 2"])
        running.kill()
        running.wait()
        until(lambda: status(shop)["doing"] == [])
        run = one.ask("project.store.runs.get(2).state")["answer"]
        assert run in ("failed", "done")
    assert shop.run(1)["customers"] > 50_000


def until(condition: Any) -> None:
    """Wait until something holds; fail when it does not in a minute."""
    for _ in range(600):
        if condition():
            return
        threading.Event().wait(0.1)
    pytest.fail("it never happened")


# -- leaving -----------------------------------------------------------------------------------------------------------


def test_an_owner_finishes_for_others_before_it_goes(shop: Brand) -> None:
    """The command `run` becomes the owner; its own reader asks it while it works; both are answered."""
    with session(shop.folder) as one:
        one.pause_in("build")
        stopping = json_of(start(shop.folder, "engine", "stop", "--json"))
        assert (stopping["pid"], len(stopping["doing"])) == (one.pid, 1)
        assert sizes(shop) == BEFORE, "who reads is answered until the run is done"
        second = start(shop.folder, "run")
        one.go_on()
        assert one.hear() == {"run_id": 2}
        assert "4 customers" in finish(second)
        assert one.ask("project.show('tiers').num_rows") == {"answer": 3}, (
            "a session asks again when it needs the engine"
        )
        until(lambda: status(shop)["held"])


def test_served_alone(shop: Brand) -> None:
    serving = start(shop.folder, "engine", "serve")
    assert serving.stderr is not None
    assert f"process {serving.pid} holds the engine" in serving.stderr.readline()
    assert "holds the project already" in command(shop.folder, "engine", "serve", code=1)
    assert "engine serve" not in command(shop.folder, "show", "tiers")
    shown = json_of(start(shop.folder, "engine", "status", "--json"))
    assert (shown["held"], shown["pid"], shown["command"]) == (True, serving.pid, "tierwise engine")
    assert shop.run(1)["customers"] == 4
    assert "lets go of the engine" in command(shop.folder, "engine", "stop")
    finish(serving)
    assert "nobody holds the engine" in command(shop.folder, "engine", "status")
    assert "nobody holds the engine" in command(shop.folder, "engine", "stop")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_served_engine_ends_in_order(shop: Brand, ending: signal.Signals) -> None:
    serving = start(shop.folder, "engine", "serve")
    assert serving.stderr is not None and serving.stderr.readline()
    assert sizes(shop) == BEFORE
    serving.send_signal(ending)
    finish(serving, 130)
    assert (shop.folder / "engine" / LOCK_FILE).read_bytes() == b""
    assert not (shop.folder / "engine" / "door" / "owner.sock").exists()
    assert sizes(shop) == BEFORE


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_the_door_is_for_its_own_user(shop: Brand) -> None:
    with session(shop.folder) as one:
        until(lambda: status(shop).get("answers"))
        door = shop.folder / "engine" / "door"
        assert (door.stat().st_mode & 0o777, (door / "owner.sock").stat().st_mode & 0o777) == (0o700, 0o600)
        assert (shop.folder / "engine" / LOCK_FILE).stat().st_mode & 0o777 == 0o600
        if os.geteuid() == 0:
            os.chown(door / "owner.sock", 65534, 65534)
            with shop.open() as project, pytest.raises(ProjectBusy, match="another user") as refused:
                project.plan()
            assert str(one.pid) in refused.value.message and refused.value.hint
            os.chown(door / "owner.sock", 0, 0)


def test_a_door_of_another_version_is_named(shop: Brand) -> None:
    with session(shop.folder) as one:
        until(lambda: status(shop).get("answers"))
        lock = shop.folder / "engine" / LOCK_FILE
        holder = json.loads(lock.read_bytes())
        lock.write_text(json.dumps({**holder, "protocol": 99, "version": "9.9.9"}))
        with shop.open() as project:
            with pytest.raises(ProjectBusy, match=f"process {one.pid} .*Tierwise 9.9.9") as refused:
                project.plan()
            assert "engine stop" in refused.value.hint
            assert project.owner()["version"] == "9.9.9", "who holds it can be asked all the same"
            project.stop_owner()
            until(lambda: not project.owner()["held"])
            project.plan()


def test_a_long_or_foreign_path_has_its_door_elsewhere(first: Brand, tmp_path: Path) -> None:
    deep = first.copy(tmp_path / "会员 项目" / ("x" * 120) / "shop")
    with session(deep.folder) as one:
        until(lambda: status(deep).get("answers"))
        socket = Path(status(deep)["socket"])
        assert socket.is_absolute() and len(os.fsencode(socket)) < 107
        assert socket.parent.stat().st_mode & 0o077 == 0
        assert sizes(deep)["high"] == 1
        one.end()
        assert not socket.exists()


def test_a_project_that_was_moved_while_it_was_open(shop: Brand, tmp_path: Path) -> None:
    with session(shop.folder) as one:
        until(lambda: status(shop).get("answers"))
        moved = Brand(shop.folder.rename(tmp_path / "moved"))
        with moved.open(1) as project:
            with pytest.raises(ProjectBusy, match="before it was moved here") as refused:
                project.plan()
            assert str(one.pid) in refused.value.message and "engine stop" in refused.value.hint
            assert one.ask("project.plan()")["error"] == "ProjectNotFound"
            until(lambda: not project.owner()["held"])
            assert project.show("tiers").num_rows == 3
            assert project.run()["customers"] == 4
    assert not shop.folder.exists(), "nothing is made where it was"


def test_an_engine_that_is_deleted_while_it_is_open(shop: Brand) -> None:
    with session(shop.folder) as one:
        assert sizes(shop) == BEFORE
        shutil.rmtree(shop.folder / "engine")
        assert one.ask("project.show('tiers')")["error"] == "UnknownName"
        assert shop.run(1)["customers"] == 4
        assert one.ask("project.show('tiers').num_rows") == {"answer": 3}


def test_a_killed_owner_is_followed_by_the_next(shop: Brand) -> None:
    with session(shop.folder) as one:
        one.pause_in("stage")
        with shop.open(1) as project:
            assert project.plan()["as_of"] == "now"
            one.process.kill()
            one.process.wait()
            assert project.show("tiers").num_rows == 3
            assert project.show("runs").to_pylist()[0]["state"] == "failed", "the next owner ends what it left"
            assert project.run()["customers"] == 4
            states = project.show("runs").column("state").to_pylist()
    assert states == ["done", "failed", "done"]


def test_a_holder_that_hangs_is_named(shop: Brand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tierwise.engine.owner.door._SILENT_SECONDS", 1.0)
    with session(shop.folder) as one:
        until(lambda: status(shop).get("answers"))
        (shop.folder / "engine" / "door" / "owner.sock").unlink()
        with (
            shop.open() as project,
            pytest.raises(EngineRefused, match=f"process {one.pid} .*does not answer") as refused,
        ):
            project.plan()
        assert f"kill {one.pid}" in refused.value.hint
