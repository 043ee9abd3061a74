#!/usr/bin/env bash
# Measures Picket against its bars and its peers, on this machine:
#
#   tests/bench/run.sh [--only ROW]... [--json FILE] [--quick]
#
# One line a row: name, figure, peer, ratio, bar, met. Builds the release preset first
# and installs the peers (ab, wrk, blackbox_exporter) if they are missing. Root is
# needed for the veth pair of engine-fresh. No test asserts these figures.
set -euo pipefail
cd "$(dirname "$0")/../.."
peers=()
for package in apache2-utils wrk prometheus-blackbox-exporter; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || peers+=("$package")
done
bash deploy/install_packages.sh test
if [ "${#peers[@]}" -gt 0 ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${peers[@]}" >/dev/null
fi
if [ -z "${PICKET_BIN:-}" ]; then
  cmake --preset release --log-level=WARNING >/dev/null
  cmake --build build/release -j "$(nproc)" --target picket picket-coordinator picket-agent \
    engine_bench instant_agents small_runs truth_server regression_noise >/dev/null
  export PICKET_BIN=$PWD/build/release/bin
fi
exec python3 tests/bench/bench.py "$@"
