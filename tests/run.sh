#!/usr/bin/env bash
# Builds Picket and passes all its tests:
#
#   bash tests/run.sh [--full] [--build-only] [-- ctest options]
#
# Installs what is missing (sudo if not root), builds the release preset, and runs
# unit, contract, golden, integration, simulation, tidy and e2e tests under ctest.
# --full adds: address+undefined and thread sanitizers, 5,000 simulation seeds, all
# storms, fuzzing. Idempotent.
set -euo pipefail
cd "$(dirname "$0")/.."

full= build_only=
while [ $# -gt 0 ]; do
  case "$1" in
    --full) full=1; shift ;;
    --build-only) build_only=1; shift ;;
    --) shift; break ;;
    *) echo "usage: bash tests/run.sh [--full] [--build-only] [-- ctest options]" >&2; exit 2 ;;
  esac
done

started=$SECONDS
step() { printf '== %s (%d s)\n' "$*" $((SECONDS - started)); }

step "packages"
bash deploy/install_packages.sh test

jobs=$(nproc)
werror=OFF
[ -z "${CI:-}" ] || werror=ON

build() {  # PRESET [cmake options]
  local preset=$1
  shift
  step "configure $preset"
  cmake --preset "$preset" --log-level=WARNING "$@" >/dev/null
  step "build $preset"
  # A line every forty steps keeps the log readable; failures are printed whole.
  if ! cmake --build "build/$preset" -j "$jobs" >"build/$preset/build.log" 2>&1; then
    grep -nE 'error|FAILED|undefined' "build/$preset/build.log" | head -50
    tail -30 "build/$preset/build.log"
    return 1
  fi
  tail -1 "build/$preset/build.log"
}

build release -DPICKET_DEVELOPER=ON -DPICKET_WERROR=$werror
[ -z "$build_only" ] || exit 0

step "tests"
failed=0
ctest --test-dir build/release --output-on-failure -j "$jobs" --no-tests=error "$@" || failed=1

if [ -n "$full" ]; then
  build asan
  step "tests under address and undefined-behaviour sanitizers"
  ctest --test-dir build/asan --output-on-failure -j "$jobs" -LE "tidy|e2e" --timeout 600 || failed=1
  build tsan
  step "tests under the thread sanitizer"
  ctest --test-dir build/tsan --output-on-failure -j "$jobs" -LE "tidy|e2e" --timeout 600 || failed=1
  if [ -x tests/simulation/run.sh ]; then
    step "5,000 simulation seeds"
    tests/simulation/run.sh --seeds 5000 || failed=1
  fi
  if [ -x tests/simulation/mutations.sh ]; then
    step "mutations: the simulation's checkers bite"
    tests/simulation/mutations.sh || failed=1
  fi
  if [ -x tests/e2e/storm.sh ]; then
    step "storms"
    tests/e2e/storm.sh --all || failed=1
  fi
  if [ -x tests/fuzz/run.sh ]; then
    step "fuzzing"
    tests/fuzz/run.sh --seconds 60 || failed=1
  fi
fi
step "done"
exit $failed
