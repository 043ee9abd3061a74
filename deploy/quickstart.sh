#!/usr/bin/env bash
# Picket's main job, end to end, on one machine:
#
#   bash deploy/quickstart.sh            install, build, run, show, stop
#   bash deploy/quickstart.sh --fast     skip installing and building
#   bash deploy/quickstart.sh --keep     leave shop, coordinator and agents up
#
# A shop (nginx), a coordinator on SQLite, two agents each at eu-west and us-east, and
# one at private:office, in a network namespace of its own whose firewall drops
# everything inbound. The suite deploy/examples/shop.yaml must end PASSED against the
# good build of the shop, and FAILED against the broken one. Exit code 0 says that
# both verdicts came out as they should.
set -euo pipefail
cd "$(dirname "$0")/.."

fast= keep=
for option in "$@"; do
  case "$option" in
    --fast) fast=1 ;;
    --keep) keep=1 ;;
    *) echo "usage: bash deploy/quickstart.sh [--fast] [--keep]" >&2; exit 2 ;;
  esac
done
say() { printf '\n== %s\n' "$*"; }

bin=${PICKET_BIN:-build/release/bin}
if [ -z "$fast" ]; then
  say "Packages"
  bash deploy/install_packages.sh build
  say "Build (release)"
  cmake --preset release -DPICKET_DEVELOPER=OFF -B build/release --log-level=WARNING >/dev/null
  cmake --build build/release --target picket picket-coordinator picket-agent -j "$(nproc)" |
    awk 'NR % 40 == 0 || /FAILED|error/ { print; fflush() }'
fi
for program in picket picket-coordinator picket-agent; do
  [ -x "$bin/$program" ] || { echo "$bin/$program is missing: run without --fast first" >&2; exit 1; }
done

state=$(mktemp -d "${TMPDIR:-/tmp}/picket-quickstart.XXXXXX")
pids=()
namespace=
shop_state=
stop_shop() {
  if [ -n "$shop_state" ]; then bash deploy/shop.sh stop --state "$shop_state"; fi
}
stop_all() {
  local pid
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait_gone "$pid"; done
  stop_shop
  if [ -n "$namespace" ]; then
    ip netns del "$namespace" 2>/dev/null || true
    ip link del "$veth" 2>/dev/null || true
  fi
  rm -rf "$state"
}
wait_gone() {  # waits up to 15 s, then insists
  for _ in $(seq 150); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}
wait_file() {  # FILE PID WHAT
  for _ in $(seq 300); do
    [ -s "$1" ] && return 0
    kill -0 "$2" 2>/dev/null || break
    sleep 0.05
  done
  echo "$3 did not start:" >&2
  cat "$state/$3.log" >&2 || true
  exit 1
}
json() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }
trap stop_all EXIT

# The private office: a namespace joined by one cable (veth), where a packet from
# outside is dropped unless it answers one of ours.
address=127.0.0.1
veth=pk$$o
say "Places: eu-west, us-east, private:office"
if [ "$(id -u)" -eq 0 ] && ip netns add "picket-office-$$" 2>/dev/null; then
  namespace=picket-office-$$
  if ip link add "$veth" type veth peer name eth0 netns "$namespace" 2>/dev/null &&
    ip address add 10.203.0.1/30 dev "$veth" && ip link set "$veth" up &&
    ip -n "$namespace" link set lo up &&
    ip -n "$namespace" address add 10.203.0.2/30 dev eth0 && ip -n "$namespace" link set eth0 up &&
    ip netns exec "$namespace" nft -f - <<'NFT'
table inet office {
  chain input {
    type filter hook input priority 0; policy drop;
    iif "lo" accept
    ct state established,related accept
  }
}
NFT
  then
    address=10.203.0.1
    echo "private:office runs in the network namespace $namespace; its firewall drops everything inbound."
  else
    ip netns del "$namespace" 2>/dev/null || true
    ip link del "$veth" 2>/dev/null || true
    namespace=
  fi
fi
[ -n "$namespace" ] ||
  echo "No right to make a network namespace here: private:office runs without its firewall."

start_shop() {  # BUILD
  stop_shop
  shop_state=$state/shop-$1
  local places=()
  [ "$address" = 127.0.0.1 ] || places=(--address "$address")
  bash deploy/shop.sh start --state "$shop_state" --build "$1" "${places[@]}"
  # shellcheck disable=SC1091
  . "$shop_state/shop.env"
  shop_vars=(-e "shop=http://$address:${SHOP_HTTP##*:}" -e "secure=https://$address:${SHOP_HTTPS##*:}")
}

say "Shop, coordinator, agents"
start_shop good
echo "shop (good build)  http://$SHOP_HTTP  https://$SHOP_HTTPS"

listen=127.0.0.1:7700 http_listen=127.0.0.1:7701
python3 - "$address" <<'PY' || { listen=127.0.0.1:0; http_listen=127.0.0.1:0; }
import socket, sys
for port in (7700, 7701):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try: s.bind((sys.argv[1] if port == 7700 else "127.0.0.1", port))
    except OSError: sys.exit(1)
PY
# Where the office's cable ends, if there is one: reachable from this machine and the office alone.
listen=$address:${listen##*:}
"$bin/picket-coordinator" --listen "$listen" --http-listen "$http_listen" \
  --store "sqlite:$state/picket.db" --info-file "$state/coordinator.json" \
  </dev/null >"$state/coordinator.log" 2>&1 &
coordinator_pid=$!
pids+=("$coordinator_pid")
wait_file "$state/coordinator.json" "$coordinator_pid" coordinator
grpc=$(json "$state/coordinator.json" grpc)
http=$(json "$state/coordinator.json" http)
echo "coordinator        gRPC $grpc, metrics http://$http/metrics, probes http://$http/probes"

start_agent() {  # NAME LOCATION COORDINATOR [COMMAND PREFIX...]
  local name=$1 location=$2 coordinator=$3
  shift 3
  "$@" "$bin/picket-agent" --coordinator "$coordinator" --location "$location" --name "$name" \
    --http-listen 127.0.0.1:0 --spool "$state/spool-$name" --info-file "$state/$name.json" \
    </dev/null >"$state/$name.log" 2>&1 &
  local pid=$!
  pids+=("$pid")
  wait_file "$state/$name.json" "$pid" "$name"
  printf 'agent %-12s %-14s metrics http://%s/metrics\n' "$name" "$location" "$(json "$state/$name.json" http)"
}
for location in eu-west us-east; do
  for number in 1 2; do
    start_agent "$location-$number" "$location" "$grpc"
  done
done
if [ -n "$namespace" ]; then
  start_agent office-1 private:office "$grpc" ip netns exec "$namespace"
else
  start_agent office-1 private:office "$grpc"
fi

run_suite() {
  "$bin/picket" run deploy/examples/shop.yaml --coordinator "$grpc" \
    "${shop_vars[@]}" "$@"
}

say "The suite against the good build: PASSED is right"
good=0
run_suite || good=$?

say "The same suite against a broken build: FAILED is right"
start_shop broken
broken=0
run_suite || broken=$?

say "The fleet"
"$bin/picket" agents --coordinator "$grpc"
"$bin/picket" runs --coordinator "$grpc"

verdict=0
if [ "$good" -eq 0 ] && [ "$broken" -eq 1 ]; then
  say "Both verdicts are right: exit 0 for the good build, exit 1 for the broken one."
else
  say "Wrong: the good build gave exit $good (0 is right), the broken one $broken (1 is right)."
  verdict=1
fi

if [ -n "$keep" ]; then
  start_shop good
  trap - EXIT
  disown -a
  echo "Everything is still up; the shop serves its good build again at http://$SHOP_HTTP."
  echo "  metrics:  http://$http/metrics  (and the agents' above)"
  echo "  try:      $bin/picket run deploy/examples/shop.yaml --coordinator $grpc ${shop_vars[*]}"
  stop_command="kill ${pids[*]} $SHOP_PID"
  [ -z "$namespace" ] || stop_command+="; ip netns del $namespace"
  echo "  stop:     $stop_command; rm -rf $state"
fi
exit "$verdict"
