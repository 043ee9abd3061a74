#!/usr/bin/env bash
# Installs the Debian 12 packages that Picket needs and that are missing.
#
#   deploy/install_packages.sh build    to compile and to run the quickstart
#   deploy/install_packages.sh test     the above, and what the tests start or use
#
# Idempotent: with nothing missing it asks the network nothing. Uses sudo if not root.
set -euo pipefail

build=(
  build-essential cmake ninja-build ccache pkg-config lld git ca-certificates
  libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libabsl-dev
  prometheus-cpp-dev libcivetweb-dev libcurl4-openssl-dev libc-ares-dev libssl-dev
  libyaml-cpp-dev libsqlite3-dev libpq-dev libre2-dev libxml2-dev nlohmann-json3-dev
  libcli11-dev libspdlog-dev libsodium-dev libbrotli-dev zlib1g-dev libjemalloc-dev
  nginx-light openssl curl iproute2 nftables procps python3
)
testing=(
  libgtest-dev libgmock-dev libbenchmark-dev
  prometheus postgresql sqlite3 jq libxml2-utils python3-yaml json-schema-test-suite
)

case "${1:-}" in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${build[@]}" "${testing[@]}") ;;
  *) echo "usage: $0 build|test" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "These packages are missing, and neither root nor sudo is at hand: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
# Debian starts services on installation; Picket's tests start their own, so a
# policy-rc.d that says no is laid down for the time of the installation.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  made_policy=1
fi
cleanup() { if [ -n "$made_policy" ]; then "${as_root[@]}" rm -f "$policy"; fi; }
trap cleanup EXIT
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
