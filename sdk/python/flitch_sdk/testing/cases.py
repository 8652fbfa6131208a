"""A filter's own cases: folders that hold its settings, records, and what should become of them.

``settings.json``, ``in.ndjson``, ``out.ndjson``, ``rejected.ndjson`` (``{"row": 3, "reason": "…"}``), or ``refused.txt``
instead of the records, and ``tables/<name>.ndjson``, the rows of a table with the key under ``key``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import Outcome, Refused, Tester, set_table


def run(folder: str | Path, filter_type: Any) -> int:
    """Runs every case under a folder. Answers how many there are.

    :raises AssertionError: with all that went wrong, or when there is no case.
    """
    cases = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    assert cases, f"no cases in {folder}"
    wrong = [f"{case.name}: {found}" for case in cases if (found := _run_one(case, filter_type))]
    assert not wrong, "\n".join(wrong)
    return len(cases)


def _run_one(case: Path, filter_type: Any) -> str | None:
    for table in sorted(case.glob("tables/*.ndjson")):
        set_table(table.stem, {str(row["key"]): row for row in _lines(table)})
    refused = case / "refused.txt"
    try:
        tester = Tester(filter_type, json.loads(_text(case / "settings.json")))
        if refused.exists():
            return "the settings were taken"
        found = tester.run_ndjson(_text(case / "in.ndjson"))
    except Refused as said:
        wanted = _text(refused).rstrip() if refused.exists() else "nothing refused"
        return None if str(said) == wanted else f"refused is\n  {said}\nand should be\n  {wanted}"
    rejected = [(one["row"], one["reason"]) for one in _lines(case / "rejected.ndjson")]
    return _difference(found, Outcome(_lines(case / "out.ndjson"), rejected))


def _difference(found: Outcome, wanted: Outcome) -> str | None:
    for row, (record, should) in enumerate(zip(found.records, wanted.records)):
        if record != should:
            return f"record {row} is\n  {record}\nand should be\n  {should}"
    if len(found.records) != len(wanted.records):
        return f"{len(found.records)} records go on, {len(wanted.records)} should"
    if found.rejected != wanted.rejected:
        return f"rejected are\n  {found.rejected}\nand should be\n  {wanted.rejected}"
    return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _lines(path: Path) -> list[Any]:
    if not path.exists():
        return []
    return [json.loads(line) for line in _text(path).split("\n") if line.strip()]
