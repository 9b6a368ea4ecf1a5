"""The two doors for people: open a project, make a new one. Beside the CLI, the only place that reads the clock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tierwise.definitions.load import SETTINGS_FILE
from tierwise.errors import BadRequest, ProjectNotFound
from tierwise.project import Project
from tierwise.store import SYSTEM, Actor

__all__ = ["init", "open"]

_IGNORED = "lake/\nengine/\nstore/\ndata/\n"
_EMPTY = """\
# 项目设置 / project settings
name: "{name}"
timezone: Asia/Shanghai
currency: CNY
as_of: now          # now | latest row | an instant
"""
#: Beside the empty project's sources, under a name that is not read.
_SOURCE = """\
# 改名为 orders.yaml 即生效 / rename it to orders.yaml and it counts
file: data/orders*.csv        # csv tsv jsonl xlsx parquet, .gz .zip; ${NAME} is an environment variable
# database: ${CRM_URL}        # 或数据库 / or a database (PostgreSQL, SQLite), with `table: orders` or `query: select …`
# sheet: 订单                  # 工作簿的工作表 / the sheet of a workbook
# encoding: gb18030           # 通常自动识别 / usually told from the bytes
# formats: {paid_at: "%d/%m/%Y"}   # 01/02/2026 不猜 / is never guessed
customer: member_no           # 会员号 / the customer's number
row_key: order_no             # 行的编号；没有则按内容识别 / without one a row is known by its content
streams:
  orders: {time: paid_at, columns: {order_id: order_no, amount: paid}}
"""


def _now() -> datetime:
    return datetime.now(UTC)


def open(
    folder: str | os.PathLike[str],
    clock: Callable[[], datetime] = _now,
    actor: Actor = SYSTEM,
    command: str = "python",
    *,
    owns: bool = True,
) -> Project:
    """Open a project folder.

    Whoever first asks something of the engine holds it until the project is closed, and answers for the others
    meanwhile: a session that keeps a project open serves the command line, and the other way round.

    Args:
        folder: the folder that holds ``tierwise.yaml``.
        clock: gives the current instant with its zone.
        actor: who is asking, for the records.
        command: what was started, for others who want to know who holds the project.
        owns: whether this process may hold the engine; if not, another one must.

    Raises:
        ProjectNotFound: when there is none.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ProjectNotFound(f"there is no folder {path}", "make a project with `tierwise init DIR`")
    if not (path / SETTINGS_FILE).is_file():
        raise ProjectNotFound(f"there is no {SETTINGS_FILE} in {path}", "make a project with `tierwise init DIR`")
    return Project(path.resolve(), clock, actor, command, owns=owns)


def init(folder: str | os.PathLike[str], pack: str = "demo", customers: int = 20_000, seed: int = 1) -> dict[str, Any]:
    """Make a new project folder: an empty one, or a pack with its simulated shop.

    Returns:
        What was made: folder, pack, and the rows of each of the shop's tables.

    Raises:
        BadRequest: when the folder already holds something, or there is no such pack.
    """
    # Imported late: only a new project needs the packs and their shop.
    from tierwise.packs import pack_folder
    from tierwise.shop import write_shop

    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BadRequest(f"{path} is not empty", "name a new folder")
    source = None if pack == "empty" else pack_folder(pack)
    draft = path.with_name(f".{path.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        files: dict[str, int] = {}
        if source is None:
            (draft / SETTINGS_FILE).write_text(_EMPTY.format(name=path.resolve().name), encoding="utf-8")
            for name in ("sources", "definitions"):
                (draft / name).mkdir()
            (draft / "sources/orders.yaml.example").write_text(_SOURCE, encoding="utf-8")
        else:
            for part in (SETTINGS_FILE, "sources", "definitions"):
                _copy(source / part, draft / part)
            files = dict(write_shop(draft / "data", customers, seed).rows)
        (draft / ".gitignore").write_text(_IGNORED, encoding="utf-8")
        if path.exists():
            path.rmdir()
        draft.rename(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return {"folder": str(path), "pack": pack, "files": files}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
