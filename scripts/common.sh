# Shared by the scripts of this folder: `source "$(dirname "$0")/common.sh"`.

# Where downloaded servers and clients live: outside target/, so that `cargo clean` and `git clean` spare them.
FLITCH_CACHE="${FLITCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flitch}"

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf 'flitch: %s\n' "$*"; }
die() {
  printf 'flitch: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# rustup writes cargo's folder into the login shell's PATH only; a fresh shell of a make rule has it not.
[ -d "${CARGO_HOME:-$HOME/.cargo}/bin" ] && PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
# Daemons (nginx, dockerd, logrotate) live in sbin, which an ordinary user's PATH may lack.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

# retry N COMMAND…: registries fail now and then; the pause grows.
retry() {
  local tries="$1" n=1
  shift
  until "$@"; do
    [ "$n" -ge "$tries" ] && return 1
    say "failed ($n of $tries), once more: $*"
    sleep $((n * 3))
    n=$((n + 1))
  done
}
