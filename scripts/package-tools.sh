# What packages are made with, each of a fixed version and built once into ~/.cache/flitch/package-tools:
# `source "$(dirname "$0")/package-tools.sh"` behind common.sh and packages.sh, then name the tools to `tool`.

tools="$FLITCH_CACHE/package-tools"
export PATH="$tools/bin:$PATH"

cargo_deb_version=3.8.0
helm_version=v4.3.1

# once NAME COMMAND…: runs the command unless it went through before.
once() {
  local mark="$tools/.$1"
  shift
  [ -e "$mark" ] && return
  "$@"
  touch "$mark"
}

crate() { cargo install --quiet --locked --root "$tools" --target-dir "$tools/target" "$1@$2" && rm -rf "$tools/target"; }
go_tool() { GOBIN="$tools/bin" GOFLAGS=-trimpath retry 3 go install "$1@$2"; }

# tool NAME…: makes each of them ready.
tool() {
  mkdir -p "$tools/bin"
  local name
  for name in "$@"; do
    case "$name" in
      cargo-deb) once "deb-$cargo_deb_version" crate cargo-deb "$cargo_deb_version" ;;
      helm) once "helm-$helm_version" go_tool helm.sh/helm/v4/cmd/helm "$helm_version" ;;
      *) die "no such tool: $name" ;;
    esac
  done
}
