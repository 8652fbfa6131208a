"""Keeps what cargo made of other people's crates from one clean clone to the next:

ci-cache.py take    puts it into `target`
ci-cache.py keep    keeps it, and forgets what was kept before

It lies in ~/.cache/flitch/ci under a hash of what decides about nearly all of it: the compiler, the versions of the lock file, and the
Cargo.toml of the workspace with its profiles. Nothing of this workspace is kept, so that each clone compiles and lints its own code. Cargo
knows each crate by its fingerprint, and compiles what is not there: what a member's Cargo.toml changes about the features of
some, for one.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

root = pathlib.Path(__file__).resolve().parent.parent
caches = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
cache = pathlib.Path(os.environ.get("FLITCH_CACHE") or caches / "flitch") / "ci"
target = root / "target"
# Where cargo puts the crates of a profile, beside what it knows of them.
PARTS = (".fingerprint", "build", "deps")


def run(*command):
    return subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE).stdout


def key():
    packages = tomllib.loads((root / "Cargo.lock").read_text())["package"]
    versions = [[package["name"], package["version"]] for package in packages if "source" in package]
    parts = [run("rustc", "-vV"), json.dumps(versions).encode(), (root / "Cargo.toml").read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def own():
    """The names of this workspace's packages and of what is made of them, as files are named by them."""
    packages = json.loads(run("cargo", "metadata", "--no-deps", "--format-version", "1"))["packages"]
    names = {package["name"] for package in packages}
    names |= {made["name"] for package in packages for made in package["targets"]}
    return {name.replace("-", "_") for name in names}


def keep(to):
    ours = own()
    for profile in sorted(path.parent for path in target.rglob(".fingerprint")):
        for part in PARTS:
            entries = list((profile / part).iterdir()) if (profile / part).is_dir() else []
            # `libserde-0123456789abcdef.rlib`, `serde-0123456789abcdef`
            of = {entry: re.match(r"(?:lib)?(.+?)-[0-9a-f]{16}", entry.name) for entry in entries}
            of = [entry for entry, name in of.items() if name and not {name[1].replace("-", "_"), name[0][:-17].replace("-", "_")} & ours]
            folder = to / profile.relative_to(target) / part
            folder.mkdir(parents=True)
            for chunk in (of[i : i + 500] for i in range(0, len(of), 500)):
                subprocess.run(["cp", "-a", "--reflink=auto", "-t", folder, *chunk], check=True)


kept = cache / key()
match sys.argv[1:]:
    case ["take"]:
        if kept.is_dir() and not target.joinpath("debug").exists():
            target.mkdir(exist_ok=True)
            subprocess.run(["cp", "-a", "--reflink=auto", f"{kept}/.", target], check=True)
            print("flitch: other people's crates are there from an earlier clone")
    case ["keep"]:
        if not kept.is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            for old in cache.iterdir():
                shutil.rmtree(old, ignore_errors=True)
            whole = cache / f"{kept.name}.{os.getpid()}"
            keep(whole)
            whole.rename(kept)
    case _:
        sys.exit("usage: ci-cache.py take|keep")
