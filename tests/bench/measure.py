"""What every row of the performance table is measured with."""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from fleet import BIN, free_port, http_get, wait_until  # noqa: E402

ROWS = {}
quick = False


def row(function):
    ROWS[function.__name__.replace("_", "-")] = function
    return function


def figure(name, value, unit, peer, ratio, bar, met):
    return {"name": name, "figure": round(value, 3), "unit": unit, "peer": peer,
            "ratio": None if ratio is None else round(ratio, 3), "bar": bar, "met": met}


def pinned(core, *command):
    return ["taskset", "-c", str(core), *[str(c) for c in command]]


def start_target(fleet, prefix=(), address="127.0.0.1", core=1, locations=""):
    """nginx with one worker, pinned; answers 200 with a small JSON body."""
    state = fleet.directory / f"target-{core}-{len(fleet.processes)}"
    state.mkdir()
    port = free_port()
    (state / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; user root; pid {state}/nginx.pid; error_log {state}/error.log crit;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {state}/b; proxy_temp_path {state}/p; fastcgi_temp_path {state}/f;
  uwsgi_temp_path {state}/u; scgi_temp_path {state}/s;
  server {{ listen {address}:{port} backlog=8192;
    location / {{ default_type application/json; return 200 '{{"status":"up","items":[1,2,3]}}'; }} {locations} }}
}}""")
    nginx = fleet.start("target", [*prefix, "taskset", "-c", str(core), "nginx", "-e", state / "error.log",
                                   "-c", state / "nginx.conf"])
    wait_until(lambda: http_get(f"http://{address}:{port}/"), "nginx", 10)
    return nginx, f"http://{address}:{port}/"


def engine(url, seconds, *options, core=0, in_flight=64):
    out = subprocess.run(pinned(core, BIN / "engine_bench", "--url", url, "--seconds", seconds,
                                "--in-flight", in_flight, *options), capture_output=True, text=True, check=True).stdout
    return float(re.search(r"([\d.]+) checks/s", out).group(1)), out


def rows_suite(fleet, url, rows, name="many", extra="", request_extra=""):
    fleet.write(f"{name}.csv", "n\n" + "".join(f"{i}\n" for i in range(rows)))
    return fleet.write(f"{name}.yaml", f"""
version: 1
name: {name}
vars: {{ base: "{url}" }}
tests:
  - name: row
    for_each: {{ file: {name}.csv }}
    {extra}
    request: {{ url: "{{{{ base }}}}?n={{{{ n }}}}"{request_extra} }}
    expect: [ {{ status: 200 }}, {{ header: {{ name: content-type, contains: json }} }}, {{ body: {{ contains: up }} }} ]
""")
