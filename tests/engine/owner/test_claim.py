"""One owner at a time: the lock is held by a living process or by nobody, whatever is written in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tierwise.engine.owner.claim import LOCK_FILE, Claim, Holder, identity, read_holder
from tierwise.errors import EngineRefused, ProjectNotFound

ME = Holder(os.getpid(), "2026-06-01T04:00:00+00:00", "python", "system", "0.1.0", 1, "/somewhere")

HOLD = """\
import sys
from pathlib import Path
from tierwise.engine.owner.claim import Claim, Holder
import os
claim = Claim.take(Path(sys.argv[1]))
claim.note(Holder(os.getpid(), "2026-06-01T04:00:00+00:00", "python", "system", "0.1.0", 1, "/somewhere"))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An `engine/` folder that is not there yet."""
    return tmp_path / "engine"


def taken(folder: Path) -> Claim:
    claim = Claim.take(folder)
    assert claim is not None
    return claim


def test_one_has_it_until_it_is_given_back(folder: Path) -> None:
    claim = taken(folder)
    claim.note(ME)
    assert Claim.take(folder) is None
    assert read_holder(folder) == ME
    assert claim.holds() and claim.number == identity(folder)
    claim.release()
    again = taken(folder)
    assert (again.left, read_holder(folder)) == (None, None), "given back in order: nothing was left undone"
    again.release()


def test_who_is_killed_holds_it_no_longer(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None and one.stdout.readline() == b"held\n"
        assert Claim.take(folder) is None
        one.kill()
        one.wait()
    claim = taken(folder)
    assert claim.left is not None and claim.left.pid == one.pid, "the next one knows who died"
    claim.release()


def test_a_number_that_another_process_has_now_proves_nothing(folder: Path) -> None:
    claim = taken(folder)
    claim.note(Holder(1, ME.since, "init", "system", "0.1.0", 1, "/somewhere"))
    claim.forget()
    taken(folder).release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff\xfe", b"null"])
def test_what_is_half_written_is_nobody(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / LOCK_FILE).write_bytes(content)
    assert read_holder(folder) is None
    taken(folder).release()


def test_a_shorter_note_leaves_nothing_of_the_longer_one(folder: Path) -> None:
    claim = taken(folder)
    claim.note(Holder(1, ME.since, "x" * 500, "system", "0.1.0", 1, "/somewhere"))
    claim.note(ME)
    assert read_holder(folder) == ME
    claim.release()


def test_a_deleted_or_moved_folder_is_held_no_longer(folder: Path) -> None:
    claim = taken(folder)
    shutil.rmtree(folder)
    assert not claim.holds()
    second = taken(folder)
    assert second.holds()
    folder.rename(folder.with_name("moved"))
    assert not second.holds()
    claim.release()
    second.release()


def test_a_project_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound, match="is gone"):
        Claim.take(tmp_path / "gone" / "engine")
    assert not (tmp_path / "gone").exists()


def test_paths_to_one_folder_are_one(folder: Path, tmp_path: Path) -> None:
    claim = taken(folder)
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    assert identity(tmp_path / "link") == identity(folder)
    assert Claim.take(tmp_path / "link") is None
    claim.release()


READ_ONLY = """\
import os, sys
from pathlib import Path
from tierwise.engine.owner.claim import Claim
from tierwise.errors import EngineRefused
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    Claim.take(Path(sys.argv[1]))
except EngineRefused as refused:
    print(refused)
"""


def test_a_folder_that_cannot_be_written_says_so() -> None:
    project = Path(tempfile.mkdtemp())  # the folders of tests are closed to the user this one becomes
    folder = project / "engine"
    folder.mkdir()
    project.chmod(0o755)
    folder.chmod(0o555)
    done = subprocess.run([sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True, check=False)
    shutil.rmtree(project)
    assert "cannot be written: Permission denied" in done.stdout, done
    assert "may write in its engine/" in done.stdout


def test_a_file_in_its_place_says_so(folder: Path) -> None:
    folder.write_text("")
    with pytest.raises(EngineRefused, match="cannot be written"):
        Claim.take(folder)
