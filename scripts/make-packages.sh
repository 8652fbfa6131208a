#!/usr/bin/env bash
# Makes, in target/packages, what a Debian of this machine's architecture and release installs: a deb with the binary, its
# service, manual pages and completions; and the Helm chart.
#
# The binary is that of `make build`, or the one that FLITCH_BINARY names. Two runs over one commit and one binary make the
# same bytes.
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/packages.sh"
source "$(dirname "$0")/package-tools.sh"
cd "$root"

binary="${FLITCH_BINARY:-target/release/flitch}"
[ -x "$binary" ] || die "$binary is not there: run \`make build\` first"
out="$root/target/packages"
stage="$out/stage"
version="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
# The time of the commit is the time of everything in a package.
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH

need dpkg-dev have dpkg-shlibdeps
need binutils have strip
install_needed
"$root/scripts/setup-sdk.sh" go
tool cargo-deb helm

rm -rf "$stage"
share="$stage/usr/share"
mkdir -p "$stage/usr/bin" "$share"/{man/man1,bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
strip -o "$stage/usr/bin/flitch" "$binary"
"$binary" man "$share/man/man1"
gzip -9n "$share"/man/man1/*.1
"$binary" completions bash >"$share/bash-completion/completions/flitch"
"$binary" completions zsh >"$share/zsh/vendor-completions/_flitch"
"$binary" completions fish >"$share/fish/vendor_completions.d/flitch.fish"

rm -f "$out"/*.deb "$out"/*.tgz
cargo deb --quiet --no-build --no-strip --manifest-path host/Cargo.toml --output "$out/"
helm package --destination "$out" packaging/helm/flitch >/dev/null
(cd "$out" && sha256sum -- *.deb >SHA256SUMS)
say "in target/packages:"
(cd "$out" && du -h -- *.deb *.tgz)
