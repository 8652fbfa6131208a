#!/usr/bin/env bash
# wkg.sh FLITCH: whether wkg, the client of the Bytecode Alliance, pulls the component that flitch has pushed to a registry, and flitch
# the one that wkg has pushed. The registry is Debian's, on loopback.
set -euo pipefail
flitch="$(realpath "$1")"
work="$(mktemp -d)"
registry=
trap '[ -z "$registry" ] || kill "$registry"; rm -rf "$work"' EXIT
cd "$work"

port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
at="127.0.0.1:$port"
cat >registry.yml <<YAML
version: 0.1
storage: { filesystem: { rootdirectory: $work/registry } }
http: { addr: "$at" }
YAML
docker-registry serve registry.yml >registry.log 2>&1 &
registry=$!
for _ in $(seq 240); do
  curl --silent --fail "http://$at/v2/" >/dev/null && break
  sleep 0.25
done
cat >flitch.yaml <<YAML
data_dir: data
plugins: { plain_http: ["$at"] }
sources: { app: { type: file, include: ["$work/app.log"] } }
outputs: { out: { type: blackhole } }
pipelines: { app: { from: [app], to: [out] } }
YAML

"$flitch" plugin push -c flitch.yaml dissect "oci://$at/team/ours:1"
wkg oci pull --insecure "$at" --output ours.wasm "$at/team/ours:1"
"$flitch" plugin pull -c flitch.yaml --output direct.wasm "oci://$at/team/ours:1"
cmp ours.wasm direct.wasm
wkg oci push --insecure "$at" "$at/team/theirs:1" ours.wasm
"$flitch" plugin pull -c flitch.yaml --output theirs.wasm "oci://$at/team/theirs:1"
cmp ours.wasm theirs.wasm
