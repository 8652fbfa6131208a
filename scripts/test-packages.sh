#!/usr/bin/env bash
# Tries the packages of target/packages as a machine would meet them: the deb in a systemd that boots in a container, and the
# chart against Kubernetes' own schemas and over the file of a container.
# Needs root, for containers. The last line is `N passed, N failed`.
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/packages.sh"
source "$(dirname "$0")/package-tools.sh"
cd "$root"

[ "$(id -u)" = 0 ] || die "containers need root: sudo -E scripts/test-packages.sh"
need mmdebstrap have mmdebstrap
need systemd-container have systemd-nspawn
need python3-venv python3 -c 'import ensurepip'
install_needed
scripts/make-packages.sh
tool cargo-deb helm

out="$root/target/packages"
version="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
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

# --- Bytes ---------------------------------------------------------------------------------------

made_twice() {
  cp "$out/SHA256SUMS" "$work/first"
  scripts/make-packages.sh && diff "$work/first" "$out/SHA256SUMS"
}
expect "packages that are made twice are the same bytes" made_twice

# --- A systemd -----------------------------------------------------------------------------------

debian="$FLITCH_CACHE/package-tools/debian.tar"
[ -e "$debian" ] || mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,procps,libssl3,zlib1g bookworm "$debian"
mkdir "$work/machine"
tar -C "$work/machine" -xf "$debian"
mkdir "$work/machine/test"
cp "$out"/flitch_*.deb "$work/machine/test/first.deb"
(cd host && cargo deb --quiet --no-build --no-strip --deb-version "$version+later" --output "$work/machine/test/later.deb")
cp packaging/tests/machine.sh "$work/machine/test/"
cp packaging/tests/machine.service "$work/machine/etc/systemd/system/"
mkdir -p "$work/machine/etc/systemd/system/multi-user.target.wants"
ln -s ../machine.service "$work/machine/etc/systemd/system/multi-user.target.wants/machine.service"
systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --directory "$work/machine" >"$work/console" 2>&1 </dev/null || true
while IFS=$'\t' read -r result sentence; do
  expect "$sentence" test "$result" = ok
done <"$work/machine/test/results"
expect "the machine went through its tests" grep -q '^done$' "$work/machine/test/end"
[ "$failed" = 0 ] || sed 's/^/    /' "$work/machine/test/log"

# --- The chart -----------------------------------------------------------------------------------

validator="$FLITCH_CACHE/package-tools/kubernetes-validate"
once kubernetes-validate-1.37.0 sh -c "python3 -m venv '$validator' && '$validator/bin/pip' install --quiet kubernetes-validate==1.37.0"
chart_is_valid() { helm template t packaging/helm/flitch "$@" >"$work/chart.yaml" && "$validator/bin/kubernetes-validate" --strict -k 1.37 "$work/chart.yaml"; }
chart_configures() { helm template t packaging/helm/flitch | python3 packaging/tests/chart.py "$out/stage/usr/bin/flitch"; }
expect "helm finds nothing wrong with the chart" helm lint --strict packaging/helm/flitch
expect "what the chart makes is right by Kubernetes' schemas" chart_is_valid
expect "so it is with all of its values" chart_is_valid -f packaging/tests/values.yaml
expect "the chart's configuration takes namespace, pod and container from the path" chart_configures

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
