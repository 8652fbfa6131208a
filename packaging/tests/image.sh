#!/usr/bin/env bash
# image.sh LAYOUT.tar ARCH: runs the image as a container without a network, and looks at what comes out. Needs root.
set -euo pipefail
layout="$(realpath "$1")" arch="$2"
work="$(mktemp -d)"
name="flitch-test-$$"
trap 'runc delete --force "$name" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
cd "$work"

# Debian's umoci does not know zstd.
skopeo --override-arch "$arch" copy --quiet --dest-decompress "oci-archive:$layout" "dir:$work/plain"
skopeo copy --quiet "dir:$work/plain" "oci:$work/layout:test"
umoci unpack --image layout:test bundle >/dev/null
for shell in sh bash dash busybox; do
  [ ! -e "bundle/rootfs/bin/$shell" ] && [ ! -e "bundle/rootfs/usr/bin/$shell" ] || exit 1
done

# What a person mounts: a configuration, logs, and a volume for its data.
mkdir logs data
chown 65532 data
seq -f '%g GET /a' 1000 >logs/app.log
cat >flitch.yaml <<'YAML'
data_dir: /var/lib/flitch
sources: { app: { type: file, include: [/var/log/app.log] } }
filters:
  parse: { plugin: dissect, settings: { pattern: "%{number} %{method} %{path}" } }
  mark: { plugin: set, settings: { set: { by: image } } }
outputs: { out: { type: file, path: /var/lib/flitch/out.ndjson } }
pipelines: { app: { from: [app], filters: [parse, mark], to: [out] } }
YAML
chmod 644 flitch.yaml logs/app.log
python3 - <<'PYTHON'
import json, os
path = "bundle/config.json"
config = json.load(open(path))
process = config["process"]
assert process["user"]["uid"] == 65532, process["user"]
process["terminal"] = False
process["capabilities"] = {kind: [] for kind in process["capabilities"]}
config["root"]["readonly"] = True
# No network: a namespace of its own with nothing in it.
assert {"type": "network"} in config["linux"]["namespaces"], config["linux"]["namespaces"]
mounts = [("/etc/flitch/flitch.yaml", "flitch.yaml", "ro"), ("/var/log", "logs", "ro"), ("/var/lib/flitch", "data", "rw")]
config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] != "/var/lib/flitch"] + [
    {"destination": to, "type": "bind", "source": os.path.abspath(of), "options": ["bind", how]} for to, of, how in mounts
]
json.dump(config, open(path, "w"))
PYTHON
runc run --detach --bundle bundle "$name" >log 2>&1 </dev/null
for _ in $(seq 480); do
  [ "$(grep -c '"by":"image"' data/out.ndjson 2>/dev/null)" = 1000 ] && break
  sleep 0.25
done
cat log
[ "$(grep -c '"method":"GET".*"by":"image"\|"by":"image".*"method":"GET"' data/out.ndjson)" = 1000 ]
# Its plugins came compiled.
[ -z "$(ls data/compiled)" ]
runc exec "$name" /usr/bin/flitch version
runc kill "$name" TERM
for _ in $(seq 240); do
  [ "$(runc state "$name" 2>/dev/null | grep -c '"status": "running"')" = 0 ] && exit 0
  sleep 0.25
done
exit 1
