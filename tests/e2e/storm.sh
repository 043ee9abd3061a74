#!/usr/bin/env bash
# tests/e2e/storm.sh [--all] [options of storm.py]
#
# A storm over real processes (see storm.py): by default one that is short, on SQLite.
# --all: 20 runs of 2,000 executions on SQLite, and the same on PostgreSQL with two
# coordinators behind a balancer.
set -euo pipefail
cd "$(dirname "$0")"
export PICKET_BIN="${PICKET_BIN:-$PWD/../../build/release/bin}"
if [ "${1:-}" = --all ]; then
  shift
  failed=0
  for store in sqlite postgres; do
    python3 storm.py --store "$store" --runs 20 --executions 2000 --parallel 10 --rate 400 "$@" || failed=1
  done
  exit $failed
fi
exec python3 storm.py "$@"
