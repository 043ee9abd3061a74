#!/usr/bin/env bash
# Blue/green behind one nginx, all on loopback: the place that pipeline.sh deploys to.
#
#   bluegreen.sh start                     an nginx with nothing deployed
#   bluegreen.sh deploy SLOT RELEASE.tar   puts a release into a slot: build, blue or green
#   bluegreen.sh switch SLOT               production is what is in the slot: blue or green
#   bluegreen.sh url SLOT|production       where it is served, as http://HOST:PORT
#   bluegreen.sh live                      the slot that production is, or nothing
#   bluegreen.sh idle                      the slot that production is not
#   bluegreen.sh release SLOT|production   the release there, as the SHA-256 of its tar
#   bluegreen.sh stop
#
# All of it lives in $STATE. A release is a tar of html/ (the pages) and release.conf (how
# nginx serves them). deploy and switch return once the new is served and the old is not.
set -euo pipefail
: "${STATE:?STATE must name a folder of its own}"

die() { echo "bluegreen.sh: $*" >&2; exit 2; }
nginx=$(command -v nginx || echo /usr/sbin/nginx)

free_ports() {
  python3 -c 'import socket
held = [socket.socket() for _ in range(4)]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])'
}

configure() {  # from what stands in $STATE
  # shellcheck disable=SC1091
  . "$STATE/ports"
  local live slot
  live=$(cat "$STATE/live" 2>/dev/null || true)
  {
    [ "$(id -u)" -eq 0 ] && echo "user root;"
    cat <<CONF
worker_processes 1;
pid $STATE/nginx.pid;
error_log $STATE/error.log warn;
events { worker_connections 1024; }
http {
  default_type text/html;
  types { text/html html; application/json json; }
  access_log off;
  client_body_temp_path $STATE/tmp/body; proxy_temp_path $STATE/tmp/proxy;
  fastcgi_temp_path $STATE/tmp/fastcgi; uwsgi_temp_path $STATE/tmp/uwsgi; scgi_temp_path $STATE/tmp/scgi;
CONF
    for slot in build blue green; do
      local port=port_$slot release
      release=$(cat "$STATE/slots/$slot/digest" 2>/dev/null || echo none)
      echo "  server {"
      echo "    listen 127.0.0.1:${!port};"
      echo "    location = /-/release { default_type text/plain; return 200 '$release\\n'; }"
      if [ "$release" = none ]; then
        echo "    location / { return 503; }"
      else
        echo "    root $STATE/slots/$slot/html;"
        echo "    include $STATE/slots/$slot/release.conf;"
      fi
      echo "  }"
    done
    # What the world sees. A release learns by this header that it is in production.
    echo "  server {"
    echo "    listen 127.0.0.1:$port_production;"
    if [ -z "$live" ]; then
      echo "    location / { return 503; }"
    else
      local upstream=port_$live
      echo "    location / {"
      echo "      proxy_pass http://127.0.0.1:${!upstream};"
      echo "      proxy_set_header X-Environment production;"
      echo "    }"
    fi
    echo "  }"
    echo "}"
  } >"$STATE/nginx.conf.new"
  "$nginx" -t -q -e "$STATE/error.log" -c "$STATE/nginx.conf.new" || die "the new configuration does not hold"
  mv "$STATE/nginx.conf.new" "$STATE/nginx.conf"
}

gone_or_leaving() {  # PID...: no worker of them takes a new connection
  local pid
  for pid in "$@"; do
    case "$(ps -o args= -p "$pid" 2>/dev/null || true)" in
      "" | *"shutting down"*) ;;
      *) return 1 ;;
    esac
  done
}

reload() {
  local master old
  configure
  master=$(cat "$STATE/nginx.pid")
  old=$(ps -o pid= --ppid "$master" | tr -d ' ' | tr '\n' ' ')
  kill -HUP "$master"
  for _ in $(seq 200); do
    # shellcheck disable=SC2086
    if gone_or_leaving $old; then return; fi
    sleep 0.05
  done
  die "nginx did not take the new configuration; see $STATE/error.log"
}

url() {
  # shellcheck disable=SC1091
  . "$STATE/ports"
  local port=port_$1
  [ -n "${!port:-}" ] || die "there is no '$1'"
  echo "http://127.0.0.1:${!port}"
}

case "${1:-}" in
  start)
    mkdir -p "$STATE/tmp" "$STATE/slots/build" "$STATE/slots/blue" "$STATE/slots/green"
    for _ in 1 2 3 4 5; do  # another program may take a port in between
      read -r build blue green production <<<"$(free_ports)"
      printf 'port_build=%s\nport_blue=%s\nport_green=%s\nport_production=%s\n' \
        "$build" "$blue" "$green" "$production" >"$STATE/ports"
      configure
      "$nginx" -e "$STATE/error.log" -c "$STATE/nginx.conf" && exit 0
    done
    die "nginx does not start; see $STATE/error.log"
    ;;
  deploy)
    slot=${2:?SLOT} tar=${3:?RELEASE.tar}
    [ -d "$STATE/slots/$slot" ] || die "there is no slot '$slot'"
    [ "$slot" != "$(cat "$STATE/live" 2>/dev/null || true)" ] || die "$slot is live; deploy to the idle slot"
    rm -rf "$STATE/slots/$slot.new"
    mkdir "$STATE/slots/$slot.new"
    tar -xf "$tar" -C "$STATE/slots/$slot.new"
    sha256sum <"$tar" | cut -d' ' -f1 >"$STATE/slots/$slot.new/digest"
    rm -rf "$STATE/slots/$slot"
    mv "$STATE/slots/$slot.new" "$STATE/slots/$slot"
    reload
    ;;
  switch)
    slot=${2:?SLOT}
    case "$slot" in blue | green) ;; *) die "production is blue or green, not '$slot'" ;; esac
    [ -f "$STATE/slots/$slot/digest" ] || die "nothing is deployed to $slot"
    echo "$slot" >"$STATE/live.new"
    mv "$STATE/live.new" "$STATE/live"
    reload
    ;;
  url) url "${2:?SLOT}" ;;
  live) cat "$STATE/live" 2>/dev/null || true ;;
  idle) if [ "$(cat "$STATE/live" 2>/dev/null || true)" = blue ]; then echo green; else echo blue; fi ;;
  release) curl -fsS "$(url "${2:?SLOT}")/-/release" ;;
  stop)
    [ ! -f "$STATE/nginx.pid" ] || kill -TERM "$(cat "$STATE/nginx.pid")"
    ;;
  *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
