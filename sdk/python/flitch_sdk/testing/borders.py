"""The cases of ``wit/cases/batches`` of flitch, run natively: what a filter that follows the contract answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import values
from .._abi import Err
from .._abi import columns as abi
from ..columns import bitmap_of
from ..filter import export
from . import apply, set_table, take_counters, take_log
from .batch import select

_EMPTY = {"int64": 0, "timestamp": 0, "float64": 0.0}


def run(folder: Path, filter_type: Any) -> int:
    """Runs all cases of a folder through a conformance guest. Answers how many there are.

    :raises AssertionError: with all that went wrong, or when there is no case.
    """
    files = sorted(folder.glob("*.json"))
    assert files, f"no cases in {folder}"
    wrong = []
    for file in files:
        try:
            _run_one(json.loads(file.read_text(encoding="utf-8")), filter_type)
        except AssertionError as difference:
            wrong.append(f"{file.name}: {difference}")
    assert not wrong, "\n".join(wrong)
    return len(files)


def _run_one(case: dict[str, Any], filter_type: Any) -> None:
    for name, rows in case.get("tables", {}).items():
        set_table(name, {str(row["key"]): row for row in rows})
    guest = export(filter_type)()
    try:
        fields = apply.names(guest.configure(json.dumps(case["settings"])))
    except Err as refused:
        return _same("refused", refused.value, case.get("refused"))
    assert "refused" not in case, "the settings were taken"
    if "fields" in case:
        _same("fields", fields, case["fields"])
    batch = batch_of(case["batch"])
    take_log(), take_counters()
    changes = guest.apply(select(batch, fields))
    _same("log", [list(line) for line in take_log()], case.get("log", []))
    _same("counters", take_counters(), case.get("counters", {}))
    rejected = [{"row": one.row, "reason": one.reason} for one in changes.rejected]
    _same("rejected", rejected, case.get("rejected", []))
    found = [{name: with_kind(value) for name, value in one.items()} for one in apply.records(batch, changes)]
    _same("out", found, case["out"])


def _same(what: str, found: Any, wanted: Any) -> None:
    # As texts: to Python 1, 1.0 and True are one.
    texts = [json.dumps(value, sort_keys=True, ensure_ascii=False) for value in (found, wanted)]
    assert texts[0] == texts[1], f"{what} is\n  {texts[0]}\nand should be\n  {texts[1]}"


def batch_of(case: dict[str, Any]) -> Any:
    """The batch of a case: ``{"rows": 2, "columns": {"a": {"text": ["x", null]}}}``."""
    return abi.Batch(case["rows"], [_column(name, *one) for name, kinds in case["columns"].items() for one in kinds.items()])


def _column(name: str, kind: str, content: list[Any]) -> Any:
    present = bitmap_of("".join("0" if value is None else "1" for value in content)) if None in content else None
    made: Any
    if kind in ("text", "json", "bytes"):
        parts = [bytes.fromhex(v or "") if kind == "bytes" else (v or "").encode() for v in content]
        ends = [sum(map(len, parts[: place + 1])) for place in range(len(parts))]
        made = abi.Blobs(b"".join(parts), ends)
    elif kind == "boolean":
        made = bitmap_of("".join("1" if value else "0" for value in content))
    else:
        made = [_EMPTY[kind] if value is None else value for value in content]
    return abi.Column(name, present, getattr(abi, f"Values_{kind.capitalize()}")(made))


def with_kind(value: values.Value) -> dict[str, Any]:
    """A value by its own kind: ``{"int64": 5}``."""
    kind = {str: "text", bytes: "bytes", int: "int64", float: "float64", bool: "boolean"}.get(type(value))
    if kind is None:
        return {"timestamp": int(value)} if type(value) is values.Timestamp else {"json": value.text}
    return {kind: value.hex() if kind == "bytes" else value}
