#!/usr/bin/env bash
# tests/simulation/mutations.sh [--seeds N] [NAME…]
#
# Proves that the simulation's checkers bite: breaks the production code in the ways of
# tests/simulation/mutations/*.patch, one at a time, in a copy of the sources with a build
# folder of its own, and simulates N fleets (default 400) each. Fails if a patch no longer
# applies, if a break is not caught by the checker that the patch names, or if the copy is
# not clean before it is broken.
set -euo pipefail
cd "$(dirname "$0")/../.."

seeds=400
names=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seeds) seeds="$2"; shift 2 ;;
    -*) echo "usage: tests/simulation/mutations.sh [--seeds N] [NAME…]" >&2; exit 2 ;;
    *) names+=("$1"); shift ;;
  esac
done

patches="$PWD/tests/simulation/mutations"
if [ "${#names[@]}" -eq 0 ]; then
  for patch in "$patches"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

place="$PWD/build/mutations"
copy="$place/src"
program="$place/build/bin/picket-simulation"
log="$place/log"
mkdir -p "$copy"
# What has not changed keeps its time, so that only what a patch touches is built again.
fresh="$(mktemp -d "$place/fresh.XXXXXX")"
trap 'rm -rf "$fresh"' EXIT
git ls-files -co --exclude-standard | while read -r file; do [ -f "$file" ] && echo "$file"; done |
  tar -cf - -T - | tar -xf - -C "$fresh"
(cd "$fresh" && find . -type f) | while read -r file; do
  if ! cmp -s "$fresh/$file" "$copy/$file"; then
    mkdir -p "$(dirname "$copy/$file")"
    cp "$fresh/$file" "$copy/$file"
  fi
done
(cd "$copy" && find . -type f) | while read -r file; do
  [ -e "$fresh/$file" ] || rm -f "$copy/$file"
done

build() {
  [ -f "$place/build/build.ninja" ] ||
    cmake -S "$copy" -B "$place/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
      -DCMAKE_CXX_FLAGS_DEBUG=-O1 -DPICKET_DEVELOPER=ON -DPICKET_GRPC=OFF >"$log" 2>&1 || { tail -20 "$log"; exit 1; }
  if ! cmake --build "$place/build" --target picket-simulation >"$log" 2>&1; then
    tail -30 "$log"
    return 1
  fi
}

build
echo "the code as it is: $("$program" --seeds 60 | tail -1)"

missed=0
for name in "${names[@]}"; do
  patch="$patches/$name.patch"
  checker="$(sed -n 's/^Caught by: //p' "$patch")"
  if ! patch -d "$copy" -p1 --fuzz=1 --no-backup-if-mismatch <"$patch" >"$log" 2>&1; then
    cat "$log"
    echo "NOT APPLIED  $name: the patch no longer fits the code; write it anew"
    missed=$((missed + 1))
    # What was applied of it is undone by a fresh copy.
    sed -n 's/^+++ b\///p' "$patch" | while read -r file; do cp "$fresh/$file" "$copy/$file"; done
    continue
  fi
  build
  out="$place/$name.out"
  "$program" --seeds "$seeds" >"$out" 2>&1 && code=0 || code=$?
  sed -n 's/^+++ b\///p' "$patch" | while read -r file; do cp "$fresh/$file" "$copy/$file"; done
  caught="$(sed -n 's/^  ! \[\([a-z_]*\)\].*/\1/p' "$out" | head -1)"
  seed="$(sed -n 's/^FAILED seed \([0-9]*\):.*/\1/p' "$out" | head -1)"
  if [ "$code" -eq 1 ] && grep -q "^  ! \[$checker\]" "$out"; then
    printf 'caught       %-28s seed %-5s by %s\n' "$name" "$seed" "$checker"
  else
    printf 'NOT CAUGHT   %-28s exit %s, expected %s, seen: %s\n' "$name" "$code" "$checker" \
      "${caught:-nothing}"
    missed=$((missed + 1))
  fi
done
echo "${#names[@]} mutations, $missed not caught"
[ "$missed" -eq 0 ]
