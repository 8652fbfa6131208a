#!/usr/bin/env bash
# Builds flitch for release and prints the bench table.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$root"
exec cargo bench -p flitch-bench "$@"
