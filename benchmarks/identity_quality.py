"""Quality of matching by probability on public data with known truth: ``python -m benchmarks.identity_quality``.

No label is used but to count: the model is trained on the records alone, and the threshold is one for all files.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tierwise.identity.graph import components
from tierwise.identity.matching import match, plan

__all__ = ["FILES", "febrl", "main", "quality"]

_THRESHOLD: Final = 0.5
_FEBRL: Final = {
    "given_name": "name",
    "surname": "name",
    "street_number": "category",
    "address_1": "text",
    "suburb": "text",
    "postcode": "number",
    "date_of_birth": "date",
    "soc_sec_id": "number",
}
_FAKE: Final = {"first_name": "name", "surname": "name", "dob": "date", "city": "category", "email": "email"}


def febrl(folder: Path, *files: str) -> tuple[pa.Table, list[int]]:
    """Return the records of Febrl files and whose each is."""
    tables = []
    for file in files:
        with gzip.open(folder / "identity_febrl" / f"{file}.csv.gz", "rt", encoding="utf-8") as lines:
            rows = [[cell.strip() or None for cell in line.rstrip("\n").split(",")] for line in lines]
        head = [str(name) for name in rows[0]]
        columns = {name: pa.array([row[i] for row in rows[1:]], pa.string()) for i, name in enumerate(head)}
        tables.append(pa.table(columns))
    whole = pa.concat_tables(tables)
    truth = [int(name.split("-")[1]) for name in whole["rec_id"].to_pylist()]
    return whole.append_column("record", pa.array(range(whole.num_rows), pa.int64())), truth


def _fake(folder: Path) -> tuple[pa.Table, list[int]]:
    texts = pa.csv.ConvertOptions(column_types={"dob": pa.string()})
    whole = pa.csv.read_csv(folder / "identity_splink" / "fake_1000.csv", convert_options=texts)
    truth: list[int] = whole["cluster"].to_pylist()
    return whole.append_column("record", pa.array(range(whole.num_rows), pa.int64())), truth


#: Each file's records with their truth, and what its columns say.
FILES: Final[dict[str, tuple[Callable[[Path], tuple[pa.Table, list[int]]], dict[str, str]]]] = {
    "febrl1": (lambda folder: febrl(folder, "dataset1"), _FEBRL),
    "febrl2": (lambda folder: febrl(folder, "dataset2"), _FEBRL),
    "febrl4": (lambda folder: febrl(folder, "dataset4a", "dataset4b"), _FEBRL),
    "fake_1000": (_fake, _FAKE),
}


def quality(name: str, folder: Path, threshold: float = _THRESHOLD, seed: int = 1) -> dict[str, Any]:
    """Match one file and compare with its truth; pairs as they were scored, and persons as they come together.

    Args:
        name: one of `FILES`.
        folder: where the public data lies.
        threshold: from which probability on two records are one person.
        seed: of the sample.
    """
    read, fields = FILES[name]
    records, truth = read(folder)
    begun = time.process_time()
    pairs = match(records, fields, seed)
    seconds = time.process_time() - begun
    whose = np.array(truth)
    left, right, score = (pairs[column].to_numpy() for column in ("left", "right", "score"))
    linked = score >= threshold
    wanted = _pairs_of(Counter(truth))
    persons = components(len(truth), left[linked], right[linked])
    hits = _pairs_of(Counter(zip(persons.tolist(), truth, strict=True)))
    return {
        "file": name,
        "records": len(truth),
        "true_pairs": wanted,
        "blocks": [" + ".join(block) for block in plan(records, fields).compared],
        "pairs": _scores(int((whose[left] == whose[right])[linked].sum()), int(linked.sum()), wanted),
        "best_pairs_f1": _best(score, whose[left] == whose[right], wanted),
        "persons": _scores(hits, _pairs_of(Counter(persons.tolist())), wanted),
        "processor_seconds": round(seconds, 1),
    }


def _best(score: np.ndarray, good: np.ndarray, wanted: int) -> float:
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(good[order])
    last = np.append(np.diff(score[order]) != 0, True)  # a threshold takes all pairs of one score, or none
    return round(float((2 * hits / (np.arange(1, len(hits) + 1) + wanted))[last].max()), 4)


def _pairs_of(sizes: Counter[Any]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes.values())


def _scores(hits: int, said: int, wanted: int) -> dict[str, float]:
    precision, recall = hits / max(said, 1), hits / max(wanted, 1)
    found = {"precision": precision, "recall": recall, "f1": 2 * hits / max(said + wanted, 1)}
    return {name: round(value, 4) for name, value in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Match every file and print what came of it, one JSON line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity_quality", description=__doc__)
    parser.add_argument("files", nargs="*", default=list(FILES))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TIERWISE_DATA", "../shared/data")))
    parser.add_argument("--threshold", type=float, default=_THRESHOLD)
    asked = parser.parse_args(arguments)
    for name in asked.files:
        sys.stdout.write(json.dumps(quality(name, asked.data, asked.threshold)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
