#!/usr/bin/env bash
# Runs every fuzz target for a while, from its corpus:
#
#   tests/fuzz/run.sh [--seconds N] [TARGET...]        (default: 60 seconds each)
#
# A finding ends it with exit code 1; the input is left in build/fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=60
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=$2; shift 2 ;;
    -*) echo "usage: tests/fuzz/run.sh [--seconds N] [TARGET...]" >&2; exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done
needed=()
for package in clang-14 libclang-rt-14-dev; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || needed+=("$package")
done
bash deploy/install_packages.sh test
if [ "${#needed[@]}" -gt 0 ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${needed[@]}" >/dev/null
fi
cmake --preset fuzz --log-level=WARNING >/dev/null
if [ "${#targets[@]}" -eq 0 ]; then
  for source in tests/fuzz/*_fuzz.cc; do targets+=("$(basename "$source" .cc)"); done
fi
cmake --build build/fuzz -j "$(nproc)" --target "${targets[@]}" >/dev/null
mkdir -p build/fuzz/findings
failed=0
for target in "${targets[@]}"; do
  name=${target%_fuzz}
  mkdir -p "build/fuzz/corpus/$name"
  if build/fuzz/bin/"$target" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" -max_total_time="$seconds" \
    -timeout=10 -rss_limit_mb=2048 -max_len=65536 -artifact_prefix="build/fuzz/findings/$name-" -print_final_stats=1 \
    >"build/fuzz/$name.log" 2>&1; then
    executed=$(sed -n 's/stat::number_of_executed_units: *//p' "build/fuzz/$name.log")
    echo "$target: clean, $executed inputs in $seconds s"
  else
    echo "$target: FINDING"
    tail -30 "build/fuzz/$name.log"
    failed=1
  fi
done
exit $failed
