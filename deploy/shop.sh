#!/usr/bin/env bash
# The example shop: nginx on loopback with pages, a JSON API, a slow page, and TLS
# under a certificate authority of its own.
#
#   deploy/shop.sh start --state DIR [--build good|broken] [--address IP]... [--http PORT] [--https PORT]
#   deploy/shop.sh stop  --state DIR
#   deploy/shop.sh with [--build good|broken] -- COMMAND...
#
# start writes DIR/shop.env (SHOP_HTTP, SHOP_HTTPS as HOST:PORT, SHOP_PID) once it
# serves, and the authority's certificate to deploy/examples/shop-ca.pem, where the
# example suite expects it. Ports: 8480 and 8443 if they are free, else any; 0 = any.
# with starts a shop on the default ports, runs the command, and stops the shop.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
examples=$here/examples

die() { echo "shop.sh: $*" >&2; exit 2; }

free_port() {  # PREFERRED: prints it if free, else a free one
  python3 - "$1" <<'PY'
import socket, sys
for port in (int(sys.argv[1]), 0):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(("127.0.0.1", port))
    except OSError:
        continue
    print(s.getsockname()[1])
    break
PY
}

make_authority() {  # once per checkout, so that two shops share one authority
  local home=$here/../build/shop-ca
  mkdir -p "$home"
  (
    flock 9
    if ! openssl x509 -checkend 604800 -noout -in "$home/ca.pem" >/dev/null 2>&1; then
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
        -subj "/CN=Picket shop example authority" -keyout "$home/ca.key" -out "$home/ca.pem" 2>/dev/null
    fi
    if ! cmp -s "$home/ca.pem" "$examples/shop-ca.pem"; then
      cp "$home/ca.pem" "$examples/shop-ca.pem.$$"
      mv "$examples/shop-ca.pem.$$" "$examples/shop-ca.pem"
    fi
  ) 9>"$home/lock"
  authority=$home
}

make_certificate() {  # STATE ADDRESS...
  local state=$1 names="DNS:shop.test,DNS:localhost" address
  shift
  for address in "$@"; do names+=",IP:$address"; done
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=shop.test" \
    -keyout "$state/server.key" -out "$state/server.csr" 2>/dev/null
  openssl x509 -req -in "$state/server.csr" -CA "$authority/ca.pem" -CAkey "$authority/ca.key" \
    -set_serial "0x$(openssl rand -hex 8)" -days 90 -out "$state/server.pem" \
    -extfile <(echo "subjectAltName=$names") 2>/dev/null
}

start() {
  local state= build=good http=8480 https=8443 access=off address
  local addresses=(127.0.0.1)
  while [ $# -gt 0 ]; do
    case "$1" in
      --state) state=$2; shift 2 ;;
      --build) build=$2; shift 2 ;;
      --http) http=$2; shift 2 ;;
      --https) https=$2; shift 2 ;;
      --address) addresses+=("$2"); shift 2 ;;
      --access-log) access=$2; shift 2 ;;
      *) die "unknown option $1" ;;
    esac
  done
  [ -n "$state" ] || die "start needs --state DIR"
  [ -d "$examples/shop/$build" ] || die "there is no build '$build' of the shop: good or broken"
  mkdir -p "$state"
  state=$(cd "$state" && pwd)
  make_authority
  make_certificate "$state" "${addresses[@]}"
  printf 'keeper:%s\n' "$(openssl passwd -apr1 open-sesame)" >"$state/users"

  local try pid
  for try in 1 2 3 4 5; do
    http=$(free_port "$http"); https=$(free_port "$https")
    local listen=
    for address in "${addresses[@]}"; do
      listen+="    listen $address:$http;\n    listen $address:$https ssl http2;\n"
    done
    sed -e "s|@STATE@|$state|g" -e "s|@ROOT@|$examples/shop/$build|g" -e "s|@BUILD@|$build|g" \
      -e "s|@ACCESS_LOG@|$access|g" -e "s|@LISTEN@|$listen|g" \
      "$examples/shop/nginx.conf.in" >"$state/nginx.conf"
    [ "$(id -u)" -ne 0 ] || sed -i '1a user root;' "$state/nginx.conf"
    setsid nginx -e "$state/error.log" -c "$state/nginx.conf" </dev/null >"$state/nginx.out" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
      if curl -fsS -o /dev/null -m 2 "http://127.0.0.1:$http/api/health" 2>/dev/null; then
        printf 'SHOP_HTTP=127.0.0.1:%s\nSHOP_HTTPS=127.0.0.1:%s\nSHOP_PID=%s\n' \
          "$http" "$https" "$pid" >"$state/shop.env.tmp"
        mv "$state/shop.env.tmp" "$state/shop.env"
        return 0
      fi
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
    kill "$pid" 2>/dev/null || true
    http=0; https=0
  done
  cat "$state/nginx.out" "$state/error.log" >&2 || true
  echo "shop.sh: nginx did not start" >&2
  return 1
}

stop() {
  local state=
  while [ $# -gt 0 ]; do
    case "$1" in
      --state) state=$2; shift 2 ;;
      *) die "unknown option $1" ;;
    esac
  done
  [ -n "$state" ] || die "stop needs --state DIR"
  [ -e "$state/shop.env" ] || return 0
  # shellcheck disable=SC1091
  . "$state/shop.env"
  kill "$SHOP_PID" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$SHOP_PID" 2>/dev/null || break
    sleep 0.05
  done
  rm -f "$state/shop.env"
}

with() {
  local build=good code=0
  while [ $# -gt 0 ]; do
    case "$1" in
      --build) build=$2; shift 2 ;;
      --) shift; break ;;
      *) die "unknown option $1" ;;
    esac
  done
  [ $# -gt 0 ] || die "with needs a command after --"
  with_state=$(mktemp -d)
  trap 'stop --state "$with_state"; rm -rf "$with_state"' EXIT
  start --state "$with_state" --build "$build"
  # shellcheck disable=SC1091
  . "$with_state/shop.env"
  export SHOP_HTTP SHOP_HTTPS
  "$@" || code=$?
  exit "$code"
}

command=${1:-}
[ $# -gt 0 ] && shift
case "$command" in
  start|stop|with) "$command" "$@" ;;
  *) die "start, stop or with" ;;
esac
