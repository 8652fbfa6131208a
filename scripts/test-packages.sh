#!/usr/bin/env bash
# Tries the packages of target/packages as a machine would meet them: deb and rpm in a systemd that boots in a container, the
# image as a container without a network, the binary on an old glibc and, of the other architecture, in an emulator, and the
# chart against Kubernetes' own schemas, in its API server, and over the file of a container.
# Needs root, for containers. The last line is `N passed, N failed`.
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/packages.sh"
source "$(dirname "$0")/package-tools.sh"
cd "$root"

[ "$(id -u)" = 0 ] || die "containers need root: sudo -E scripts/test-packages.sh"
need_for_packages
need systemd-container have systemd-nspawn
need skopeo have skopeo
need umoci have umoci
need runc have runc
need etcd-server have etcd
need openssl have openssl
need docker-registry have docker-registry
need curl have curl
install_needed
scripts/make-packages.sh
tool helm kube-apiserver wkg

archs="${FLITCH_ARCHS:-amd64 arm64}"
here="$(dpkg --print-architecture)"
out="$root/target/packages"
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
# expect SENTENCE COMMAND…: one test.
expect() {
  local sentence="$1"
  shift
  if "$@" >"$work/log" 2>&1; then
    passed=$((passed + 1))
    say "ok: $sentence"
  else
    failed=$((failed + 1))
    say "FAILED: $sentence"
    sed 's/^/    /' "$work/log" | tail -n 30
  fi
}

# results_of WHAT: tests that were run elsewhere, a line each: `ok` or `failed`, a tab, and the sentence.
results_of() {
  local result sentence
  while IFS=$'\t' read -r result sentence; do
    expect "$1: $sentence" test "$result" = ok
  done
}

# --- Bytes ---------------------------------------------------------------------------------------

made_twice() {
  cp "$out/SHA256SUMS" "$work/first"
  scripts/make-packages.sh && diff "$work/first" "$out/SHA256SUMS"
}
expect "packages that are made twice are the same bytes" made_twice

at_most() { echo "$(stat -c %s "$2") bytes of at most $1" && [ "$(stat -c %s "$2")" -le "$1" ]; }
image_at_most() {
  skopeo --override-arch "$2" copy --quiet "oci-archive:$image" "dir:$work/image-$2" && python3 - "$1" "$work/image-$2" <<'PYTHON'
import json, sys
size = sum(layer["size"] for layer in json.load(open(sys.argv[2] + "/manifest.json"))["layers"])
print(size, "bytes")
sys.exit(size > int(sys.argv[1]))
PYTHON
}
image="$(echo "$out"/flitch-*-oci.tar)"
for arch in $archs; do
  expect "the deb for $arch has at most 12 MB" at_most 12000000 "$(echo "$out"/flitch_*_"$arch".deb)"
  expect "the image for $arch has at most 20 MB" image_at_most 20000000 "$arch"
done

# --- The binary ----------------------------------------------------------------------------------

binary_of() { echo "$work/flitch-$version-linux-$1/bin/flitch"; }
for arch in $archs; do tar -C "$work" -xzf "$out/flitch-$version-linux-$arch.tar.gz"; done

# Which versions of glibc's functions a binary names, and which libraries.
needs_old_glibc_alone() {
  local newest needed
  newest="$(readelf --version-info --wide "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)"
  needed="$(readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort)"
  echo "$newest of:" $needed
  [ "$(printf '%s\nGLIBC_2.17\n' "$newest" | sort -V | tail -n 1)" = GLIBC_2.17 ] &&
    ! grep -vE '^(lib(c|m|dl|rt|pthread|util|resolv)\.so\.[0-9]|ld-linux-.*)$' <<<"$needed"
}
# delivers COMMAND…: whether this flitch runs lines through filters into a file.
delivers() {
  local folder="$work/delivers"
  rm -rf "$folder"
  mkdir "$folder"
  seq -f '%g GET /a' 1000 >"$folder/app.log"
  cat >"$folder/flitch.yaml" <<YAML
data_dir: data
admin: { enabled: false }
sources: { app: { type: file, include: ["$folder/app.log"] } }
filters: { parse: { plugin: dissect, settings: { pattern: "%{number} %{method} %{path}" } } }
outputs: { out: { type: file, path: "$folder/out.ndjson" } }
pipelines: { app: { from: [app], filters: [parse], to: [out] } }
YAML
  local status=0 pid
  (cd "$folder" && exec "$@" run -c flitch.yaml) &
  pid=$!
  for _ in $(seq 1200); do
    [ "$(grep -c '"method":"GET"' "$folder/out.ndjson" 2>/dev/null)" = 1000 ] && break
    kill -0 "$pid" || break
    sleep 0.25
  done
  kill "$pid" && wait "$pid" || status=$?
  echo "ended with $status"
  [ "$status" = 0 ] && [ "$(grep -c '"method":"GET"' "$folder/out.ndjson")" = 1000 ]
}
old="$tools/base-bullseye-$here"
[ -e "$old" ] || mmdebstrap --quiet --variant=extract --include=libc6 bullseye "$old"
loader="$(echo "$old"/lib/*/ld-linux-*.so.?)"
for arch in $archs; do
  expect "the binary for $arch needs glibc 2.17 and nothing else" needs_old_glibc_alone "$(binary_of "$arch")"
  if [ "$arch" = "$here" ]; then
    expect "it delivers records on the glibc of Debian 11" delivers "$loader" --library-path "$(dirname "$loader")" "$(binary_of "$arch")"
  else
    # Its plugins came compiled: to compile takes minutes there.
    expect "it delivers records in an emulator" delivers env FLITCH_COMPILED="$(realpath "${FLITCH_BINARIES:-$out}")/$arch/compiled" \
      "qemu-$(machine "$arch")-static" -L "$(base "$arch")" "$(binary_of "$arch")"
  fi
done
names_its_parts() {
  python3 - "$out/flitch-$version.cdx.json" <<'PYTHON'
import json, sys
parts = json.load(open(sys.argv[1]))
names = {part["name"] for part in parts["components"]}
missing = {"wasmtime", "rdkafka-sys", "openssl-src", "zstd-sys", "vrl", "flitch-plugin-dissect", "flitch-filters"} - names
assert not missing, missing
assert not names & {"tempfile", "proptest", "divan"}, "what tests need is no part of it"
refs = {part["bom-ref"] for part in parts["components"]} | {parts["metadata"]["component"]["bom-ref"]}
lost = {to for of in parts["dependencies"] for to in of["dependsOn"]} - refs
assert not lost, lost
print(len(names), "parts")
PYTHON
}
asks_for_no_more() { diff <(rpm -qp --requires "$1" | grep -v '^rpmlib(' | sort -u) <(printf '/bin/sh\nglibc >= 2.17\nsystemd\n'); }
for arch in $archs; do
  expect "the rpm for $arch asks for glibc, systemd and a shell alone" asks_for_no_more "$(echo "$out"/flitch-*."$(machine "$arch")".rpm)"
done
expect "the list of parts has what is in the binary, and no more" names_its_parts

expect "wkg reads what it pushes to a registry, and it what wkg does" packaging/tests/wkg.sh "$(binary_of "$here")"

# --- A systemd -----------------------------------------------------------------------------------

bootable="$tools/machine-$debian.tar"
[ -e "$bootable" ] || mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,procps,rpm "$debian" "$bootable"
# machine_with KIND: boots a system in which packages of this kind are installed, upgraded and removed.
machine_with() {
  local kind="$1" at="$work/$1"
  mkdir "$at"
  tar -C "$at" -xf "$bootable"
  mkdir -p "$at/test/later"
  echo "$kind" >"$at/test/kind"
  case "$kind" in
    deb)
      cp "$out"/flitch_*_"$here".deb "$at/test/first.deb"
      deb_for "$here" "$version+later-1" "$at/test/later"
      mv "$at"/test/later/*.deb "$at/test/later.deb"
      ;;
    rpm)
      cp "$out"/flitch-*."$(machine "$here")".rpm "$at/test/first.rpm"
      rpm_for "$here" 2 "$at/test/later"
      mv "$at"/test/later/*.rpm "$at/test/later.rpm"
      ;;
  esac
  cp packaging/tests/machine.sh "$at/test/"
  cp packaging/tests/machine.service "$at/etc/systemd/system/"
  mkdir -p "$at/etc/systemd/system/multi-user.target.wants"
  ln -s ../machine.service "$at/etc/systemd/system/multi-user.target.wants/machine.service"
  systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --directory "$at" >"$work/console" 2>&1 </dev/null || true
  local before="$failed"
  results_of "$kind" <"$at/test/results"
  expect "$kind: the machine went through its tests" grep -q '^done$' "$at/test/end"
  [ "$failed" = "$before" ] || sed 's/^/    /' "$at/test/log"
}
install -m 755 "$(binary_of "$here")" "$out/stage/usr/bin/flitch"
machine_with deb
machine_with rpm

# --- The image -----------------------------------------------------------------------------------

expect "the image runs without a shell, a network, a writable root and a right, and compiles nothing" packaging/tests/image.sh "$image" "$here"

# --- The chart -----------------------------------------------------------------------------------

validator="$FLITCH_CACHE/package-tools/kubernetes-validate"
once kubernetes-validate-1.37.0 sh -c "python3 -m venv '$validator' && '$validator/bin/pip' install --quiet kubernetes-validate==1.37.0"
chart_is_valid() { helm template t packaging/helm/flitch "$@" >"$work/chart.yaml" && "$validator/bin/kubernetes-validate" --strict -k 1.37 "$work/chart.yaml"; }
chart_refuses() { ! helm template t packaging/helm/flitch "$@"; }
chart_configures() { helm template t packaging/helm/flitch | python3 packaging/tests/chart.py "$(binary_of "$here")"; }
expect "helm finds nothing wrong with the chart" helm lint --strict packaging/helm/flitch
expect "what the chart makes is right by Kubernetes' schemas" chart_is_valid
expect "so it is with all of its values" chart_is_valid -f packaging/tests/values.yaml
expect "a value that the chart does not know is refused" chart_refuses --set outputs.type=kafka
# A chart that has this one as a part, and asks for it by a condition.
mkdir -p "$work/whole/charts"
printf 'apiVersion: v2\nname: whole\nversion: 1.0.0\ndependencies: [{ name: flitch, version: "*", condition: flitch.enabled }]\n' >"$work/whole/Chart.yaml"
printf 'global: { region: eu }\nflitch: { enabled: true }\n' >"$work/whole/values.yaml"
cp -R packaging/helm/flitch "$work/whole/charts/"
chart_is_a_part() { helm template w "$work/whole" | grep -q 'kind: DaemonSet' && ! helm template w "$work/whole" --set flitch.enabled=false | grep -q 'kind: DaemonSet'; }
# What the chart makes of values, as `helm template` takes them; then what stands in the configuration, or in the DaemonSet.
chart_makes() {
  local wanted="$1"
  shift
  helm template t packaging/helm/flitch "$@" | "$validator/bin/python" packaging/tests/made.py "$wanted"
}
own_config="$(printf ' # mine\nsources: {}\n')"
expect "it can be a part of another chart, which turns it on and off" chart_is_a_part
expect "the probes reach a flitch with a configuration of its own" chart_makes 'admin == "0.0.0.0:9598" and "admin" not in config' --set-json 'config="sources: {}"'
expect "a configuration may begin with a blank" chart_makes 'text.startswith(" # mine\nsources")' --set "config=$own_config"
expect "what is left out may be a text" chart_makes '"/var/log/x/**" in config["sources"]["containers"]["exclude"]' --set 'source.exclude=/var/log/x/**'
expect "nothing at all may be said of the source" chart_makes '"containers" in config["sources"]' --set source=null
expect "a long time is written as a number" chart_makes 'grace == 1000000' --set terminationGracePeriodSeconds=1000000
expect "a long name is known by what Kubernetes leaves of it" chart_makes 'any("_" + "n" * 58 + "[b" in one for one in config["sources"]["containers"]["exclude"])' \
  --set "fullnameOverride=$(printf 'n%.0s' $(seq 63))"
expect "an output that is taken away is told" chart_refuses --set output=null
expect "the chart's configuration takes namespace, pod and container from the path" chart_configures
"$validator/bin/python" packaging/tests/kubernetes.py packaging/helm/flitch packaging/tests/values.yaml >"$work/kubernetes" 2>"$work/kubernetes.log" ||
  printf 'failed\tthe servers of Kubernetes run\n' >>"$work/kubernetes"
before="$failed"
results_of kubernetes <"$work/kubernetes"
[ "$failed" = "$before" ] || sed 's/^/    /' "$work/kubernetes.log"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
