"""Prints what the packages' binary is made of, as CycloneDX 1.5: its crates as cargo resolves them, the C sources among
them, and the crates of the stock plugins, which are in it as WebAssembly. What only compiles it is left out."""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])

# By "name version": what describes it, and what it needs.
components, needs = {}, {}


def read(manifest, edges, *arguments, is_wanted=lambda name: True):
    """Reads what `cargo tree` says of one package, and answers that package."""
    lock = tomllib.loads((ROOT / manifest).with_name("Cargo.lock").read_text())
    sums = {f"{package['name']} {package['version']}": package.get("checksum") for package in lock["package"]}
    command = ["cargo", "tree", "--quiet", "--locked", "--manifest-path", ROOT / manifest, "--edges", edges]
    command += ["--prefix", "depth", "--format", "\t{p}\t{l}\t{r}", *arguments]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    above = []
    for line in text.splitlines():
        depth, package, license, repository = line.split("\t")
        name, version = re.match(r"(\S+) v(\S+)", package).groups()
        if not is_wanted(name):
            continue
        key = f"{name} {version}"
        # A package that was there before is told without what it needs, and with an asterisk at the end.
        repository = repository.removesuffix(" (*)")
        component = {"type": "library", "bom-ref": key, "name": name, "version": version}
        if license := license.removesuffix(" (*)"):
            component["licenses"] = [{"expression": license.replace("/", " OR ")}]
        if repository:
            component["externalReferences"] = [{"type": "vcs", "url": repository}]
        if sums[key]:
            component["purl"] = f"pkg:cargo/{name}@{version.replace('+', '%2B')}"
            component["hashes"] = [{"alg": "SHA-256", "content": sums[key]}]
        components[key] = component
        needs.setdefault(key, set())
        above[int(depth) :] = [key]
        if len(above) > 1:
            needs[above[-2]].add(key)
    return above[0] if above else None


HOST = ["--package", "flitch", "--features", "flitch/static", "--target", "x86_64-unknown-linux-gnu"]
flitch = read("Cargo.toml", "normal,no-proc-macro", *HOST)
# C that is linked in, from crates that only a build script names.
before = set(components)
read("Cargo.toml", "normal,build", *HOST, is_wanted=lambda name: name.endswith("-src"))
needs[flitch] |= set(components) - before
for folder in sorted((ROOT / "plugins").glob("*/Cargo.toml")):
    name = folder.parent.name
    if name == "vrl":
        plugin = read("plugins/vrl/Cargo.toml", "normal,no-proc-macro", "--target", "wasm32-wasip2")
    else:
        package = ["--package", f"flitch-plugin-{name}", "--target", "wasm32-unknown-unknown"]
        plugin = read("Cargo.toml", "normal,no-proc-macro", *package)
    needs[flitch].add(plugin)

program = {**components.pop(flitch), "type": "application"}
document = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH)),
        "component": program,
    },
    "components": [components[key] for key in sorted(components)],
    "dependencies": [{"ref": key, "dependsOn": sorted(needs[key])} for key in sorted(needs)],
}
# The same parts have the same number.
content = json.dumps(document, sort_keys=True)
document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
json.dump(document, sys.stdout, indent=1, sort_keys=True)
