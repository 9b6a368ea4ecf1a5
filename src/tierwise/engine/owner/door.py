"""The door to the engine: a verb goes to the process that owns it, and to this one when nobody does."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tierwise.engine.owner.calling import ask, check_holder, control, door_of, unreachable
from tierwise.engine.owner.claim import Claim, Holder, identity, read_holder
from tierwise.engine.owner.process import Owner
from tierwise.engine.owner.requests import Callbacks, Elsewhere, Request, Verb, Work
from tierwise.engine.owner.wire import PROTOCOL
from tierwise.errors import EngineRefused, ProjectBusy, TierwiseError

__all__ = ["Door"]

#: A command that is quick ends before anybody could knock: its door is not even hung.
_DOOR_AFTER_SECONDS: Final = 0.15
_LOOK_SECONDS: Final = 0.02
#: After so many looks at one who is leaving, look less often.
_SLOW_AFTER: Final = 50
_SLOW_LOOK_SECONDS: Final = 0.25
#: How long one who has the lock may not answer before it is called hung; a start takes some of it.
_SILENT_SECONDS: Final = 30.0
#: How often a request is asked again because its owner died on the way.
_MOST_DEATHS: Final = 3


class Door:
    """Where one project's verbs are handed in.

    Args:
        folder: the project's `engine/` folder.
        verbs: the verbs there are, by name.
        work: makes what an owner does for others, should this process become the owner.
        clock: gives the current instant with its zone.
        actor: who asks, as text.
        command: what was started, for others to read.
        version: this Tierwise.
        owns: whether this process may become the owner.
    """

    def __init__(
        self,
        folder: Path,
        verbs: Mapping[str, Verb],
        work: Callable[[], Work],
        clock: Callable[[], datetime],
        actor: str,
        command: str,
        version: str,
        owns: bool = True,
    ) -> None:
        self._folder = folder
        self._verbs = verbs
        self._work = work
        self._clock = clock
        self._actor = actor
        self._command = command
        self._version = version
        self._owns = owns
        self._owner: Owner | None = None
        self._asked = 0

    # -- verbs ------------------------------------------------------------------------------------------------------

    def call(self, verb: str, arguments: Mapping[str, Any], callbacks: Callbacks) -> Any:
        """Have a verb done and return its answer.

        Raises:
            ProjectBusy: when the owner cannot be asked, or another one writes and the caller does not wait.
            EngineRefused: when the owner hangs, or died while it did what cannot be asked again.
        """
        self._asked += 1
        key = f"{os.getpid()}-{time.monotonic_ns()}-{self._asked}"
        given: dict[str, Any] = {"actor": self._actor, "at": self._clock(), "pid": os.getpid(), "key": key}
        again, deaths, tries, since = False, 0, 0, time.monotonic()
        while True:
            request = Request(verb, arguments, **given, again=again, wait=callbacks.wait)
            owner, holder = self._own(), None
            try:
                if owner is not None:
                    return owner.perform(request, callbacks)
                holder = read_holder(self._folder)
                path = self._reachable(holder)
                if path is not None:
                    return ask(path, request, callbacks)
            except Elsewhere as error:
                if error.begun:
                    deaths, again, tries, since = deaths + 1, True, 0, time.monotonic()
                    self._may_ask_again(verb, deaths)
            if owner is not None:
                self._let_go(owner)
            elif time.monotonic() - since > _SILENT_SECONDS:
                self._give_up(holder)
                since = time.monotonic()
            tries += 1
            if tries == _SLOW_AFTER:
                self._say_waiting(verb, holder, callbacks)
            time.sleep(_LOOK_SECONDS if tries < _SLOW_AFTER else _SLOW_LOOK_SECONDS)

    def _reachable(self, holder: Holder | None) -> Path | None:
        if holder is None:
            return None
        check_holder(holder, self._folder)
        return door_of(holder, self._folder)

    def _may_ask_again(self, verb: str, deaths: int) -> None:
        if self._verbs[verb].kind == "write" or deaths > _MOST_DEATHS:
            raise EngineRefused(
                f"the process that did `{verb.rpartition('.')[2]}` for this one has died, perhaps before it was done",
                "look at what it has changed before you ask again; the last good state is untouched",
            )

    def _say_waiting(self, verb: str, holder: Holder | None, callbacks: Callbacks) -> None:
        """Say whom one waits for, or refuse to, when an owner needs long to finish what it does before it leaves."""
        if self._verbs[verb].kind != "read" and not callbacks.wait:
            raise ProjectBusy(f"{holder or 'another process'} is at work", "wait for it, or ask without --no-wait")
        if callbacks.waiting is not None:
            callbacks.waiting(f"waiting for {holder or 'another process'}")

    def _give_up(self, holder: Holder | None) -> None:
        """Refuse to wait longer for one who has the lock and does not even say that it is busy."""
        try:
            path = door_of(holder, self._folder) if holder is not None else None
            if path is None:
                raise Elsewhere
            control(path, "status")
        except Elsewhere:
            raise unreachable(holder) from None

    # -- owning -----------------------------------------------------------------------------------------------------

    def _own(self) -> Owner | None:
        """Return this process's owner of the project, made if nobody else has it, or nothing."""
        if not self._owns:
            return None
        if self._owner is not None and not self._owner.retired.is_set():
            return self._owner
        with _OWNERS:
            if _OWNERS.leaving(self._folder):  # DuckDB opens a path once in a process
                return None
            known = _OWNERS.of(identity(self._folder))
            if known is not None:
                known.users += 1
                self._owner = known
                return known
            claim = Claim.take(self._folder)
            if claim is None:
                return None
            owner, first = self._become(claim)
            self._owner = owner
        for number, verb in enumerate(first):
            key = f"{os.getpid()}-{time.monotonic_ns()}-first{number}"
            request = Request(verb, {}, self._actor, self._clock(), os.getpid(), key)
            with suppress(TierwiseError, OSError, Elsewhere):  # it stays to be done; who asks for it is told why
                owner.perform(request, Callbacks())
        return owner

    def _become(self, claim: Claim) -> tuple[Owner, Sequence[str]]:
        """Return this process as the owner, and what it has to do first: what one that died has left."""
        work = self._work()
        first = () if claim.left is None else work.recover(self._clock(), claim.left.pid)
        holder = self._holder()
        claim.note(holder)
        owner = Owner(claim, holder, work)
        _OWNERS.add(owner)
        threading.Thread(target=_hang_door, args=(owner, _DOOR_AFTER_SECONDS), daemon=True).start()
        return owner, first

    def _holder(self) -> Holder:
        """Return who this process is, as others read it."""
        since = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        folder = str(self._folder.parent)
        return Holder(os.getpid(), since, self._command, self._actor, self._version, PROTOCOL, folder)

    def _let_go(self, owner: Owner) -> None:
        """Forget an owner that takes no more requests, once it has given the engine back."""
        if owner.leaving.is_set():
            self._owner = None
            owner.given_back.wait(_LOOK_SECONDS)

    def close(self, wait: Callable[[list[dict[str, Any]]], None] | None = None) -> None:
        """Finish what this process does for others, then give the engine back.

        Args:
            wait: called with what is still at work, when there is something.
        """
        owner, self._owner = self._owner, None
        if owner is None:
            return
        with _OWNERS:
            owner.users -= 1
            if owner.users:
                return
            owner.leave()
        doing = owner.doing()
        if doing and wait is not None:
            wait(doing)
        owner.given_back.wait()

    # -- an owner for others ----------------------------------------------------------------------------------------

    def serve(self, ready: Callable[[Holder], None]) -> None:
        """Own the engine for others until somebody stops it or the folder goes away.

        Args:
            ready: called with who this is, once the door is open.

        Raises:
            ProjectBusy: when another process has the project.
        """
        owner = self._own()
        if owner is None:
            raise ProjectBusy(
                f"{read_holder(self._folder) or 'another process'} holds the project already",
                "`tierwise engine status` says what it does",
            )
        while not owner.holder.socket:
            if owner.leaving.wait(_LOOK_SECONDS):
                return
        ready(owner.holder)
        while not owner.leaving.wait(1.0):
            if not owner.claim.holds():
                owner.leave()
        owner.given_back.wait()

    def held(self) -> bool:
        """Whether somebody holds the project now, this process included."""
        if self._owner is not None or not self._folder.is_dir():
            return self._owner is not None
        claim = Claim.take(self._folder)
        if claim is not None:
            claim.forget()
        return claim is None

    def status(self) -> dict[str, Any]:
        """Return who holds the project and what it does; `held` is false when nobody does."""
        holder, answer = self._find("status")
        if holder is None:
            return {"held": False}
        about = {name: getattr(holder, name) for name in Holder.__dataclass_fields__}
        return {"held": True, **about, "answers": answer is not None, "doing": (answer or {}).get("doing", [])}

    def stop(self) -> dict[str, Any]:
        """Ask the owner to finish what it does and go; return who it was, `held` false when there was none.

        Raises:
            EngineRefused: when it does not answer.
        """
        holder, answer = self._find("stop")
        if holder is None:
            return {"held": False}
        if answer is None:
            raise unreachable(holder)
        return {"held": True, "pid": holder.pid, "command": holder.command, "doing": answer["doing"]}

    def _find(self, what: str) -> tuple[Holder | None, dict[str, Any] | None]:
        if not self._folder.is_dir():
            return None, None
        until = time.monotonic() + 5.0
        while True:
            claim = Claim.take(self._folder)
            if claim is not None:
                claim.forget()
                return None, None
            holder = read_holder(self._folder)
            path = door_of(holder, self._folder) if holder is not None else None
            try:
                if holder is not None and path is not None:
                    return holder, control(path, what)
            except Elsewhere:
                pass
            if time.monotonic() > until and holder is not None:
                return holder, None
            time.sleep(_LOOK_SECONDS)


class _Owners:
    """The owners of this process, one a project, however many have it open."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._all: list[Owner] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        self._all = [owner for owner in self._all if not owner.given_back.is_set()]

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def of(self, lock: tuple[int, int] | None) -> Owner | None:
        """Return the owner of a locked file that still takes requests."""
        for owner in self._all:
            if lock is not None and not owner.leaving.is_set() and owner.claim.number == lock:
                return owner
        return None

    def leaving(self, folder: Path) -> bool:
        """Whether an owner of a folder has not given it back yet."""
        return any(owner.leaving.is_set() and owner.folder == folder for owner in self._all)

    def add(self, owner: Owner) -> None:
        """Remember an owner."""
        self._all.append(owner)

    def leave(self) -> None:
        """Let all of them finish, at the end of the process."""
        for owner in self._all:
            owner.leave(at_exit=True)

    def forget(self) -> None:
        """Let go, in a forked child, of what belongs to its parent."""
        self._lock = threading.RLock()
        for owner in self._all:
            owner.claim.forget()
            owner.retired.set()
            owner.leaving.set()
            owner.given_back.set()
        self._all = []


def _hang_door(owner: Owner, after_seconds: float) -> None:
    """Open an owner's door, unless it is done by then."""
    if owner.leaving.wait(after_seconds):
        return
    from tierwise.engine.owner.serving import Serving, socket_path

    path = socket_path(owner.folder, owner.claim.number)
    serving = Serving(owner, path)

    def take_down() -> None:
        serving.shutdown()
        path.unlink(missing_ok=True)
        if path.is_relative_to(owner.folder):
            with suppress(OSError):  # the folder may have been moved or deleted
                path.parent.rmdir()

    with owner.door:
        if owner.retired.is_set():
            take_down()
            return
        owner.at_leaving.append(take_down)
        owner.open_at(str(path.relative_to(owner.folder) if path.is_relative_to(owner.folder) else path))


_OWNERS: Final = _Owners()
atexit.register(_OWNERS.leave)
os.register_at_fork(after_in_child=_OWNERS.forget)
