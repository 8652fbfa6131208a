"""Makes a component of a filter: ``python3 -m flitch_sdk.build app -o filter.wasm`` where the module ``app`` is. It wants
componentize-py of the version that ``pyproject.toml`` names.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ._world import OtherMake, as_the_contract, guest_world

SDK = Path(__file__).resolve().parent


def build(module: str, out: Path, paths: list[Path], stub_wasi: bool) -> None:
    """Builds the module, which is looked for in ``paths``."""
    source = next((file for file in (path / f"{module}.py" for path in paths) if file.exists()), None)
    if source is None:
        sys.exit(f"flitch_sdk.build: there is no {module}.py in {', '.join(map(str, paths))}")
    # A module says that its filter keeps state by defining `State`.
    is_stateful = re.search(r"^(class )?State\s*[=:(]", source.read_text(encoding="utf-8"), re.MULTILINE)
    with tempfile.TemporaryDirectory(prefix="flitch-build-") as folder:
        world, made = Path(folder) / "wit", Path(folder) / "component.wasm"
        world.mkdir()
        (world / "filter.wit").write_text(guest_world((SDK / "wit" / "filter.wit").read_text(encoding="utf-8")), encoding="utf-8")
        shutil.copy(SDK / "wit" / "state.wit", world)
        command = ["componentize-py", "-q", "-d", str(world), "-w", "stateful-plugin" if is_stateful else "plugin", "componentize"]
        for path in [*paths, SDK.parent]:
            command += ["-p", str(path)]
        command += [*(["--stub-wasi"] if stub_wasi else []), module, "-o", str(made)]
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError:
            sys.exit("flitch_sdk.build: componentize-py is missing: `pip install componentize-py==0.25.1`")
        except subprocess.CalledProcessError as failed:
            sys.exit(f"flitch_sdk.build: componentize-py failed with {failed.returncode}")
        try:
            out.write_bytes(as_the_contract(made.read_bytes()))
        except OtherMake as wrong:
            sys.exit(f"flitch_sdk.build: {wrong}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python3 -m flitch_sdk.build", description="Makes a component of a filter.")
    parser.add_argument("module", help="the module with `Filter`: app for app.py")
    parser.add_argument("-o", "--out", type=Path, default=Path("filter.wasm"))
    parser.add_argument("-p", "--path", type=Path, action="append", help="where modules are found; by default in this folder")
    parser.add_argument("--stub-wasi", action="store_true", help="a component that imports no WASI")
    args = parser.parse_args()
    build(args.module, args.out, args.path or [Path(".")], args.stub_wasi)


if __name__ == "__main__":
    main()
