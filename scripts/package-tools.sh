# What packages are made with, each of a fixed version and built once into ~/.cache/flitch/package-tools:
# `source "$(dirname "$0")/package-tools.sh"` behind common.sh and packages.sh, then name the tools to `tool`.

tools="$FLITCH_CACHE/package-tools"
export PATH="$tools/bin:$PATH"

version="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")"
# Both of PyPI: zig compiles C and links, cargo-zigbuild has cargo use it.
zig_version=0.17.1
zigbuild_version=0.24.1
helm_version=v4.3.1
kubernetes_version=v1.37.2
wkg_version=0.16.1
# Whose C library the image has, and other architectures run on here.
debian=bookworm

# once NAME COMMAND…: runs the command unless it went through before.
once() {
  local mark="$tools/.$1"
  shift
  [ -e "$mark" ] && return
  "$@"
  touch "$mark"
}

go_tool() { GOBIN="$tools/bin" GOFLAGS=-trimpath retry 3 go install "$1@$2"; }

# machine ARCH: what everybody but Debian calls it.
machine() {
  case "$1" in
    amd64) echo x86_64 ;;
    arm64) echo aarch64 ;;
    *) die "flitch is packaged for amd64 and arm64, not for $1" ;;
  esac
}

# base ARCH: a folder with Debian's C library and certificates, as packages unpack them.
base() {
  local folder="$tools/base-$debian-$1"
  once "base-$debian-$1" mmdebstrap --quiet --variant=extract --architectures="$1" --include=libc6,ca-certificates "$debian" "$folder" >&2
  echo "$folder"
}

# run_for ARCH COMMAND…: runs a program of this architecture.
run_for() {
  local arch="$1"
  shift
  if [ "$arch" = "$(dpkg --print-architecture)" ]; then
    "$@"
  else
    "qemu-$(machine "$arch")-static" -L "$(base "$arch")" "$@"
  fi
}

# need_for_packages: of Debian, beside what `make setup` installs.
need_for_packages() {
  need mmdebstrap have mmdebstrap
  need python3-venv python3 -c 'import ensurepip'
  need debhelper have dh_installsysusers
  need dpkg-dev have dpkg-gencontrol
  need rpm have rpmbuild
  need binutils have readelf
  need qemu-user-static have qemu-aarch64-static
  need zstd have zstd
}

# deb_for ARCH VERSION OUT: packs the stage as a deb. debhelper writes the scripts that Debian's services have.
deb_for() {
  local at="$root/target/packages/deb"
  rm -rf "$at"
  mkdir -p "$at/debian/flitch"
  cp -a "$root/target/packages/stage/." "$at/debian/flitch/"
  cp "$root"/packaging/debian/* "$root/packaging/systemd/flitch.service" "$at/debian/"
  cp "$root/packaging/sysusers.d/flitch.conf" "$at/debian/flitch.sysusers"
  cp "$root/packaging/tmpfiles.d/flitch.conf" "$at/debian/flitch.tmpfiles"
  printf 'flitch (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- The authors of flitch <flitch@localhost>  %s\n' \
    "$2" "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")" >"$at/debian/changelog"
  (
    cd "$at"
    export DEB_HOST_ARCH="$1"
    local step
    for step in installsysusers installtmpfiles installsystemd installdeb md5sums gencontrol; do "dh_$step"; done
    dh_builddeb --destdir="$3" -- -Znone >/dev/null
    smaller "$1" "$3/flitch_$2_$1.deb"
  )
  rm -rf "$at"
}

# smaller ARCH DEB: compresses what is in the deb, better than dpkg can: before it looks for repetitions, xz turns the targets of
# jumps and calls into addresses (a filter that every xz undoes; that for arm64 is younger than releases in use, so that it is
# only told how long an instruction is there). One thread, since the bytes depend on how many there are.
smaller() {
  local filters=(--lzma2=preset=9e,lc=2,lp=2) part
  [ "$1" != amd64 ] || filters=(--x86 --lzma2=preset=9e)
  ar x "$2"
  for part in control data; do xz --threads=1 --check=crc64 "${filters[@]}" "$part.tar"; done
  rm "$2"
  ar qcD "$2" debian-binary control.tar.xz data.tar.xz
}

# rpm_for ARCH RELEASE OUT: packs the stage as an rpm.
rpm_for() {
  local at="$root/target/packages/rpm"
  rpmbuild --quiet -bb --target "$(machine "$1")-linux" --define "_topdir $at" --define "_rpmdir $3" \
    --define '_rpmfilename %{name}-%{version}-%{release}.%{_target_cpu}.rpm' \
    --define "version $version" --define "release $2" --define "root $root" "$root/packaging/rpm/flitch.spec" >/dev/null
  rm -rf "$at"
}

zig() {
  rm -rf "$tools/zig"
  python3 -m venv "$tools/zig"
  retry 3 "$tools/zig/bin/pip" install --quiet "ziglang==$zig_version" "cargo-zigbuild==$zigbuild_version"
  ln -sf ../zig/bin/cargo-zigbuild "$tools/bin/"
}

kube_apiserver() {
  (
    cd "$root/packaging/tests/apiserver"
    GOFLAGS=-trimpath retry 3 go build -o "$tools/bin/kube-apiserver" \
      -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes_version" k8s.io/kubernetes/cmd/kube-apiserver
  )
}

# tool NAME…: makes each of them ready.
tool() {
  mkdir -p "$tools/bin"
  local name
  for name in "$@"; do
    case "$name" in
      zig) once "zig-$zig_version-$zigbuild_version" zig ;;
      helm) once "helm-$helm_version" go_tool helm.sh/helm/v4/cmd/helm "$helm_version" ;;
      wkg) once "wkg-$wkg_version" retry 3 cargo install --quiet --locked --root "$tools" --target-dir "$tools/.wkg" "wkg@$wkg_version" && rm -rf "$tools/.wkg" ;;
      kube-apiserver) once "kube-apiserver-$kubernetes_version" kube_apiserver ;;
      *) die "no such tool: $name" ;;
    esac
  done
}
