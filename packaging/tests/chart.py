"""Runs the configuration that the chart makes over the file of a container, and looks at the record that comes out:
chart.py FLITCH < what `helm template` printed."""

import json
import os
import subprocess
import sys
import tempfile

rendered = sys.stdin.read()
_, _, after = rendered.partition("  flitch.yaml: |2\n")
assert after, "the chart has no flitch.yaml"
lines = []
for line in after.splitlines():
    if line and not line.startswith("    "):
        break
    lines.append(line[4:])

with tempfile.TemporaryDirectory() as folder:
    pods = os.path.join(folder, "pods")
    config = "\n".join(lines).replace("/var/log/pods", pods).replace("/var/lib/flitch", os.path.join(folder, "data"))
    config = config.replace('listen: "0.0.0.0:9598"', "enabled: false")
    path = os.path.join(folder, "flitch.yaml")
    with open(path, "w") as file:
        file.write(config)

    def container(of, line):
        os.makedirs(os.path.join(pods, of))
        with open(os.path.join(pods, of, "0.log"), "w") as file:
            file.write(f"2026-11-26T10:00:00.000000001Z stdout F {line}\n")

    container("shop_web-7d4b9_0b1c2d3e-aaaa-bbbb-cccc-000000000001/nginx", "hello")
    # What flitch itself prints would be read, printed and read again.
    container("default_t-flitch-x2x4z_0b1c2d3e-aaaa-bbbb-cccc-000000000002/flitch", "never")
    # Of others whose names begin so it is no part.
    others = ["default_t-flitch-api-7d4b9f8c6-x2x4z", "default_t-flitch-api-0", "default_t-flitch-front", "logging_t-flitch-x2x4z"]
    for number, pod in enumerate(others, 3):
        container(f"{pod}_0b1c2d3e-aaaa-bbbb-cccc-00000000000{number}/web", "other")
    environment = dict(os.environ, NODE_NAME="node-7", XDG_CACHE_HOME=folder)
    run = subprocess.Popen([sys.argv[1], "run", "-c", path], stdout=subprocess.PIPE, env=environment, text=True)
    records = [json.loads(run.stdout.readline()) for _ in range(1 + len(others))]
    run.terminate()
    rest = run.stdout.read()
    assert run.wait() == 0, run.returncode

assert {record["kubernetes"]["pod"] for record in records if record["message"] == "other"} == {
    pod.partition("_")[2] for pod in others
}, records
record = next(record for record in records if record["message"] == "hello")
print(json.dumps(record))
assert record["kubernetes"] == {
    "namespace": "shop",
    "pod": "web-7d4b9",
    "pod_uid": "0b1c2d3e-aaaa-bbbb-cccc-000000000001",
    "container": "nginx",
    "node": "node-7",
}, record
assert "never" not in rest, rest
