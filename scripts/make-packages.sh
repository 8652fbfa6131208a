#!/usr/bin/env bash
# Makes, in target/packages, what flitch is installed from: for amd64 and arm64 a deb, an rpm and a tarball, an OCI image for
# both, the Helm chart, and the list of what the binary is made of (SBOM).
#
# FLITCH_ARCHS names the architectures. FLITCH_BINARIES is a folder with ARCH/flitch and ARCH/compiled, as
# scripts/package-binary.sh makes them in target/packages; where it is not set, they are built. Two runs over one commit and
# the same binaries make the same bytes.
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/packages.sh"
source "$(dirname "$0")/package-tools.sh"
cd "$root"

archs="${FLITCH_ARCHS:-amd64 arm64}"
out="$root/target/packages"
binaries="${FLITCH_BINARIES:-$out}"
# The time of the commit is the time of everything in a package.
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH

"$root/scripts/setup-sdk.sh" go
need_for_packages
install_needed
tool helm
if [ -z "${FLITCH_BINARIES:-}" ]; then
  for arch in $archs; do scripts/package-binary.sh "$arch"; done
fi

# --- What all packages have ----------------------------------------------------------------------

umask 022
rm -rf "$out/stage" "$out/image" "$out"/*.{deb,rpm,tgz,tar,tar.gz,json}
# What is installed, by its place.
stage="$out/stage"
share="$stage/usr/share"
mkdir -p "$stage"/{usr/bin,etc/default,etc/flitch} "$share"/{man/man1,doc/flitch} \
  "$share"/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
# Pages and completions are the same for all: a binary that runs here writes them, if there is one.
writer="${archs%% *}"
case " $archs " in *" $(dpkg --print-architecture) "*) writer="$(dpkg --print-architecture)" ;; esac
flitch() { run_for "$writer" "$binaries/$writer/flitch" "$@"; }
flitch man "$share/man/man1"
gzip -9n "$share"/man/man1/*.1
flitch completions bash >"$share/bash-completion/completions/flitch"
flitch completions zsh >"$share/zsh/vendor-completions/_flitch"
flitch completions fish >"$share/fish/vendor_completions.d/flitch.fish"
install -m 644 -t "$share/doc/flitch" LICENSE README.md docs/*.md packaging/systemd/read-all-files.conf
install -m 644 -t "$stage/etc/flitch" packaging/etc/flitch.yaml
install -m 640 packaging/etc/flitch.default "$stage/etc/default/flitch"

# --- Packages ------------------------------------------------------------------------------------

tarball() {
  local arch="$1" name="flitch-$version-linux-$1"
  local folder="$out/image/$name"
  mkdir -p "$folder"
  cp -R "$stage/usr/bin" "$stage/usr/share" "$stage/etc/flitch/flitch.yaml" LICENSE README.md "$folder/"
  install -Dm 644 -t "$folder/systemd" packaging/systemd/*
  install -Dm 644 packaging/sysusers.d/flitch.conf "$folder/systemd/sysusers.conf"
  install -Dm 644 packaging/tmpfiles.d/flitch.conf "$folder/systemd/tmpfiles.conf"
  tar -C "$out/image" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
    gzip -9n >"$out/$name.tar.gz"
}

# libraries PROGRAM FOLDER…: the files of these folders that a program loads, and those that they load.
libraries() {
  local todo=("$1") seen=" " file name
  shift
  while [ "${#todo[@]}" -gt 0 ]; do
    file="${todo[0]}"
    todo=("${todo[@]:1}")
    for name in $(readelf --dynamic --wide "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
      case "$seen" in *" $name "*) continue ;; esac
      seen+="$name "
      file="$(find "$@" -maxdepth 1 -name "$name" | head -n 1)"
      [ -n "$file" ] || die "$name is needed, and not in the image"
      echo "$file"
      todo+=("$file")
    done
  done
}

# layers ARCH: the folders of its image, what changes least first.
layers() {
  local arch="$1" from lib
  local at="$out/image/$arch"
  from="$(base "$arch")"
  lib="lib/$(machine "$arch")-linux-gnu"
  mkdir -p "$at"/base/{"$lib",etc/ssl/certs,tmp,var/lib/flitch} "$at"/program/{usr/bin,usr/lib/flitch,etc/flitch}
  libraries "$binaries/$arch/flitch" "$from/$lib" "$from/usr/$lib" | xargs cp -L -t "$at/base/$lib"
  # Where programs look for the loader.
  if [ "$arch" = amd64 ]; then
    mkdir "$at/base/lib64"
    ln -s "../$lib/ld-linux-x86-64.so.2" "$at/base/lib64/"
  else
    ln -s "$(machine "$arch")-linux-gnu/ld-linux-aarch64.so.1" "$at/base/lib/"
  fi
  cat "$from"/usr/share/ca-certificates/mozilla/*.crt >"$at/base/etc/ssl/certs/ca-certificates.crt"
  printf 'root:x:0:0::/:/nonexistent\nflitch:x:65532:65532::/var/lib/flitch:/nonexistent\n' >"$at/base/etc/passwd"
  printf 'root:x:0:\nadm:x:4:\nflitch:x:65532:\n' >"$at/base/etc/group"
  echo 'hosts: files dns' >"$at/base/etc/nsswitch.conf"
  cp "$binaries/$arch/flitch" "$at/program/usr/bin/"
  cp packaging/etc/flitch.yaml "$at/program/etc/flitch/"
  cp -R "$binaries/$arch/compiled" "$at/program/usr/lib/flitch/"
}

images=()
for arch in $archs; do
  install -m 755 "$binaries/$arch/flitch" "$stage/usr/bin/flitch"
  find "$stage" -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
  deb_for "$arch" "$version-1" "$out"
  rpm_for "$arch" 1 "$out"
  tarball "$arch"
  layers "$arch"
  images+=("$arch=$out/image/$arch/base,$out/image/$arch/program")
done
python3 packaging/image.py "$out/flitch-$version-oci.tar" "$version" "$SOURCE_DATE_EPOCH" "${images[@]}"
helm package --destination "$out" packaging/helm/flitch >/dev/null
python3 packaging/sbom.py >"$out/flitch-$version.cdx.json"

(cd "$out" && sha256sum -- *.deb *.rpm *.tar.gz *.tar *.json >SHA256SUMS)
say "in target/packages:"
(cd "$out" && du -h --apparent-size -- *.deb *.rpm *.tgz *.tar.gz *.tar *.json)
