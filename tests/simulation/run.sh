#!/usr/bin/env bash
# tests/simulation/run.sh [--seeds N] [--first-seed S] [--verbose]
#
# Simulates N fleets (default 200). PICKET_BUILD names the build folder (default build/dev);
# the program is built there if it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
build="${PICKET_BUILD:-}"
if [ -z "$build" ]; then
  for candidate in build/release build/dev build; do
    if [ -x "$candidate/bin/picket-simulation" ]; then build="$candidate"; break; fi
  done
fi
build="${build:-build/dev}"
if [ ! -x "$build/bin/picket-simulation" ]; then
  cmake -S . -B "$build" -G Ninja >/dev/null
  cmake --build "$build" --target picket-simulation
fi
exec "$build/bin/picket-simulation" "$@"
