"""Written files that name a person are removed; what somebody has changed since is no longer ours to remove."""

from __future__ import annotations

from pathlib import Path

from tests.people.town import KEY, town


def test_a_file_changed_since_it_was_written_is_named_and_kept(tmp_path: Path) -> None:
    brand = town(tmp_path)
    brand.run()
    with brand.open() as project:
        project.export("customers", tmp_path / "a.csv")
        project.export("customers", tmp_path / "b.csv")
        project.export("customers", tmp_path / "c.csv")
        (tmp_path / "a.csv").write_text(f"my notes on {KEY}")
        (tmp_path / "c.csv").unlink()
        receipt = project.people.erase(KEY)
        assert receipt["exports_removed"] == [str(tmp_path / "b.csv")]
        assert receipt["exports_changed_since"] == [str(tmp_path / "a.csv")]
        assert (tmp_path / "a.csv").exists()
        assert [one.path for one in project.store.exports.list()] == [str(tmp_path / "c.csv")]
