"""Turns: one at a time, in the order they were asked; who does not want to wait is told whom for."""

from __future__ import annotations

import threading

import pytest

from tierwise.engine.owner.requests import Elsewhere
from tierwise.engine.owner.turns import Turns
from tierwise.errors import ProjectBusy


def nothing() -> None:
    """Go on."""


class Writer:
    """A thread that takes a turn, notes when it has it, and keeps it until it is let go."""

    def __init__(self, turns: Turns, name: str, order: list[str], go_on: threading.Event) -> None:
        self.said: list[str] = []
        self.queued, self.error = threading.Event(), ""
        self._turns, self._name, self._order, self._go_on = turns, name, order, go_on
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _waiting(self, text: str) -> None:
        self.said.append(text)
        self.queued.set()

    def _work(self) -> None:
        try:
            with self._turns.turn(lambda: "run 7 of cli:ann", True, self._waiting, nothing):
                self._order.append(self._name)
                self.queued.set()
                assert self._go_on.wait(30)
        except Elsewhere:
            self.error = "elsewhere"


def test_in_the_order_they_came() -> None:
    turns, order, go_on = Turns(), list[str](), threading.Event()
    writers = []
    for name in "abcd":
        writers.append(Writer(turns, name, order, go_on))
        assert writers[-1].queued.wait(30)
    assert (order, turns.busy, turns.waiting) == (["a"], True, 3)
    go_on.set()
    for writer in writers:
        writer.thread.join(30)
    assert order == ["a", "b", "c", "d"]
    assert [writer.said for writer in writers] == [[]] + [["waiting for run 7 of cli:ann"]] * 3
    assert not turns.busy


def test_who_does_not_wait_is_told_whom_for() -> None:
    turns, go_on = Turns(), threading.Event()
    writer = Writer(turns, "a", [], go_on)
    assert writer.queued.wait(30)
    with (
        pytest.raises(ProjectBusy, match="run 7 of cli:ann is at work"),
        turns.turn(lambda: "run 7 of cli:ann", False, None, nothing),
    ):
        pass
    go_on.set()
    writer.thread.join(30)
    with turns.turn(str, False, None, nothing):
        assert turns.busy


def test_who_has_gone_away_leaves_the_queue() -> None:
    turns, go_on = Turns(), threading.Event()
    writer = Writer(turns, "a", [], go_on)
    assert writer.queued.wait(30)

    def gone() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), turns.turn(lambda: "a", True, None, gone):
        pass
    assert turns.waiting == 0
    go_on.set()
    writer.thread.join(30)


def test_closing_sends_away_who_waits_and_lets_finish_who_works() -> None:
    turns, order, go_on = Turns(), list[str](), threading.Event()
    first = Writer(turns, "a", order, go_on)
    assert first.queued.wait(30)
    second = Writer(turns, "b", order, go_on)
    assert second.queued.wait(30)
    turns.close()
    second.thread.join(30)
    assert (second.error, order, turns.busy) == ("elsewhere", ["a"], True)
    go_on.set()
    first.thread.join(30)
    assert first.error == ""
