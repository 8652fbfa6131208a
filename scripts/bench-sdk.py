#!/usr/bin/env python3
"""Writes the table of sdk/README.md: `bench-sdk.py RESULTS README`, where RESULTS has what `flitch plugin bench --json` says of
each language, a line each time."""

import json
import pathlib
import sys

NAMES = {"rust": "Rust", "c": "C", "go": "Go", "python": "Python", "js": "JavaScript"}
BEGIN, END = "<!-- bench-sdk -->\n", "<!-- /bench-sdk -->"


def size(count):
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} KB"


def row(results, language):
    rounds = [json.loads(line) for line in (results / f"{language}.ndjson").read_text().splitlines()]
    toolchain = (results / f"{language}.toolchain").read_text().strip()

    def best(rows):
        return min(batch["ns_per_row"] for told in rounds for batch in told["batches"] if batch["rows"] == rows)

    cells = [
        NAMES[language],
        toolchain,
        size(rounds[0]["bytes"]),
        f"{min(told['compile_seconds'] for told in rounds):.1f} s",
        " / ".join(f"{best(rows):,.0f}" for rows in (1, 100, 1000)),
        size(min(told["memory_bytes"] for told in rounds)),
    ]
    return "| " + " | ".join(cells) + " |\n"


def main():
    results, readme = map(pathlib.Path, sys.argv[1:])
    table = "| | toolchain | size | compile time | ns per row, 1 / 100 / 1,000 rows | memory per instance |\n|---|---|---|---|---|---|\n"
    table += "".join(row(results, language) for language in NAMES)
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(before + BEGIN + table + END + after)
    sys.stdout.write(table)


main()
