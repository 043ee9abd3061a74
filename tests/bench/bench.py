#!/usr/bin/env python3
"""The rows of the performance table, measured on this machine. See run.sh."""

import argparse
import calendar
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from fleet import BIN, Fleet, wait_until  # noqa: E402
import measure  # noqa: E402
import noise  # noqa: E402
import engine_rows  # noqa: E402,F401
from measure import ROWS, engine, figure, pinned, row, rows_suite, start_target  # noqa: E402

HERE = Path(__file__).resolve().parent
quick = False


def timed_run(fleet, *args, timeout=900, code=0):
    begin = time.monotonic()
    result = fleet.run(*args, timeout=timeout, expect=code)
    return time.monotonic() - begin, result


def stamp(text):
    """Seconds since 1970 of an RFC 3339 time in UTC."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (fraction or "0"))


def last_run(fleet):
    return json.loads(fleet.http("/v1/runs?page_size=1")[1])["runs"][0]


def run_seconds(run):
    """From the first lease of a run to its seal."""
    return max(0.001, stamp(run["seal_time"]) - stamp(run["start_time"]))


def picket_peak(fleet, *args, code=0):
    """Runs `picket`; its largest resident size in bytes, by the kernel, and how long it took."""
    begin = time.monotonic()
    popen = subprocess.Popen([str(BIN / "picket"), *map(str, args)], cwd=fleet.directory, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = popen.stdout.read()
    _, status, usage = os.wait4(popen.pid, 0)
    popen.returncode = os.waitstatus_to_exitcode(status)
    if popen.returncode != code:
        raise AssertionError(f"picket {' '.join(map(str, args))}: exit {popen.returncode}\n{out[-3000:]}")
    return usage.ru_maxrss * 1024, time.monotonic() - begin


def status_of(pid, key):
    return int(re.search(rf"{key}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def pin(process, core):
    subprocess.run(["taskset", "-a", "-p", "-c", str(core), str(process.pid)], check=True, stdout=subprocess.DEVNULL)


@row
def fleet_row(fleet):
    """Coordinator and agent on core 0, target on core 1, against the engine alone on core 0."""
    _, url = start_target(fleet)
    alone, _ = engine(url, 5 if quick else 10)
    coordinator = fleet.start_coordinator()
    agent = fleet.start_agent("default", "bench", "--capacity", "64", prefix=pinned(0))
    pin(coordinator, 0)
    count = 20_000 if quick else 100_000
    whole, _ = timed_run(fleet, rows_suite(fleet, url, count), "--quiet")
    seconds = run_seconds(last_run(fleet))
    rate = count / seconds
    yield figure("fleet", rate, "executions/s", f"engine alone {alone:.0f}/s; {whole - seconds:.1f} s more with start and admission", rate / alone, ">= 0.70", rate / alone >= 0.70)
    yield figure("fleet-memory", max(coordinator.peak_bytes(), agent.peak_bytes()) / 1e6, "MB", f"{count} executions", None, "", None)


ROWS |= {"fleet": ROWS.pop("fleet-row"), "regression": lambda fleet: (figure(*l) for l in noise.lines(fleet, quick))}


class InstantAgents:
    def __init__(self, fleet, count, *options):
        self.popen = subprocess.Popen([str(BIN / "instant_agents"), "--coordinator", fleet.grpc, "--agents", str(count), *options],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        fleet.processes.append(self)  # which ends it before its coordinator, whatever happens
        self.sessions = None
        line = self.popen.stdout.readline()
        if not line.startswith("ready"):
            raise AssertionError("instant_agents: " + line)
        self.result_bytes = int(line.split()[3])

    def close(self):
        """How many sessions there were."""
        if self.sessions is None:
            self.popen.stdin.close()
            self.sessions = int(self.popen.stdout.readline().split()[1])
            self.popen.wait(30)
        return self.sessions


@row
def merge(fleet):
    """Coordinator and SQLite with agents that answer at once."""
    coordinator = fleet.start_coordinator()
    agents = InstantAgents(fleet, 4)
    count = 100_000 if quick else 1_000_000
    whole, _ = timed_run(fleet, rows_suite(fleet, "http://127.0.0.1:1/", count), "--quiet", "--deadline", "20m")
    agents.close()
    busy = run_seconds(last_run(fleet))
    rate = count / busy
    peak = coordinator.peak_bytes() / 1e6
    yield figure("merge", rate, "results/s", f"{count} of {agents.result_bytes} bytes in {busy:.1f} s, {whole:.1f} s with admission", None, ">= 100,000/s", rate >= 100_000)
    yield figure("merge-memory", peak, "MB", f"coordinator VmHWM, {count} executions", None, "<= 800 MB", peak <= 800)


@row
def small_run(fleet):
    """A one-test run on an idle fleet, over the check itself; last result to exit."""
    _, url = start_target(fleet)
    fleet.start_coordinator()
    fleet.start_agent()
    suite = fleet.write("one.yaml", f"version: 1\nname: one\ntests:\n  - name: t\n    request: {{ url: \"{url}\" }}\n    expect: [ {{ status: 200 }} ]\n")
    count = 20 if quick else 200
    at = lambda values, p: sorted(values)[min(len(values) - 1, int(len(values) * p))]
    attempt = lambda run_id: json.loads(fleet.http(f"/v1/runs/{run_id}/executions")[1])["executions"][0]["attempts"][0]

    # From the client's CreateRun to the verdict in its hands.
    out = subprocess.run([BIN / "small_runs", "--coordinator", fleet.grpc, "--suite", suite, "--runs", str(count)],
                         capture_output=True, text=True, check=True).stdout
    over = [int(us) / 1000 - int(attempt(run_id)["duration_us"]) / 1000 for run_id, us in map(str.split, out.splitlines())]
    # From the end of the check, by the agent's clock, to the end of the process.
    tail, start, whole = [], [], []
    for _ in range(count):
        begin = time.monotonic()
        fleet.picket("version", expect=0)
        start.append((time.monotonic() - begin) * 1000)
        begin = time.monotonic()
        run_id = re.search(r"^run (\w+)", fleet.run(suite, expect=0).out, re.M).group(1)
        end = time.time()
        whole.append((time.monotonic() - begin) * 1000)
        last = attempt(run_id)
        tail.append((end - stamp(last["start_time"])) * 1000 - int(last["duration_us"]) / 1000)
    yield figure("small-run", statistics.median(over), "ms over the check", f"p99 {at(over, 0.99):.1f} ms; process start {statistics.median(start):.1f} ms apart",
                 None, "<= 30 ms", statistics.median(over) <= 30)
    yield figure("small-run-p99", at(tail, 0.99), "ms, last result to exit, p99", f"{count} runs of picket, {statistics.median(whole):.1f} ms each", None,
                 "<= 50 ms", at(tail, 0.99) <= 50)


@row
def fairness(fleet):
    """A 5-test run during a 100,000-test run of 50 ms tests, same location."""
    server = subprocess.Popen(pinned(1, BIN / "truth_server", 0), stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{server.stdout.readline().split()[1]}/50"
        fleet.start_coordinator()
        fleet.start_agent("default", "bench", "--capacity", "100")
        small = fleet.write("small.yaml", "version: 1\nname: small\ntests:\n" + "".join(
            f"  - name: t{i}\n    request: {{ url: \"{url}\" }}\n    expect: [ {{ status: 200 }} ]\n" for i in range(5)))
        alone = statistics.median(timed_run(fleet, small, "--quiet")[0] for _ in range(5))
        fleet.write("big.csv", "n\n" + "".join(f"{i}\n" for i in range(100_000)))
        big = fleet.write("big.yaml", f"version: 1\nname: big\ntests:\n  - name: row\n    for_each: {{ file: big.csv }}\n    request: {{ url: \"{url}?n={{{{ n }}}}\" }}\n    expect: [ {{ status: 200 }} ]\n")
        run_id = fleet.run(big, "--detach", expect=0).out.split()[-1]
        wait_until(lambda: json.loads(fleet.http(f"/v1/runs/{run_id}")[1])["state"] == "RUNNING", "the big run")
        beside = max(timed_run(fleet, small, "--quiet")[0] for _ in range(5))
        fleet.picket("cancel", run_id, "--coordinator", fleet.grpc, expect=0)
        bar = 2 * alone + 0.25
        yield figure("fairness", beside * 1000, "ms beside a 100,000-test run", f"{alone * 1000:.0f} ms alone", beside / alone,
                     f"<= 2 x alone + 250 ms = {bar * 1000:.0f} ms", beside <= bar)
    finally:
        server.kill()
        server.wait()


@row
def link_50ms(fleet):
    """The same run without and with a 50 ms link between agent and coordinator."""
    _, url = start_target(fleet)
    count = 10_000 if quick else 200_000  # so that its start does not count for much
    rates = {}
    for link in (0, 50):
        coordinator = fleet.start_coordinator(f"sqlite:{fleet.directory}/link{link}.db", "127.0.0.1:0", f"coordinator{link}")
        address, relay = coordinator.info["grpc"], None
        if link:
            relay = subprocess.Popen([sys.executable, str(HERE / "relay.py"), "0", address, str(link)], stdout=subprocess.PIPE, text=True)
            address = f"127.0.0.1:{relay.stdout.readline().split()[1]}"
        agent = fleet.start_agent("default", f"bench{link}", "--capacity", "64", coordinator=address)
        seconds, _ = timed_run(fleet, rows_suite(fleet, url, count), "--quiet")
        rates[link] = count / seconds
        agent.stop()
        coordinator.stop()
        if relay:
            relay.kill()
            relay.wait()
    ratio = rates[50] / rates[0]
    yield figure("link-50ms", rates[50], "executions/s", f"{rates[0]:.0f}/s without the link", ratio, ">= 0.90", ratio >= 0.90)


@row
def idle_session(fleet):
    """Memory of an idle agent session on the coordinator."""
    coordinator = fleet.start_coordinator()
    rss = lambda: int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{coordinator.pid}/status").read_text()).group(1)) * 1024
    warm = InstantAgents(fleet, 50, "--idle")
    before = rss()
    count = 500 if quick else 5000
    agents = InstantAgents(fleet, count, "--idle")
    each = (rss() - before) / count
    agents.close()
    warm.close()
    yield figure("idle-session", each / 1024, "KiB", f"{count} sessions", None, "<= 64 KiB", each <= 65536)


def growth_line(label, fleet, coordinator, suite, count, agents, peers):
    """One line of the growth table: a run of `count` executions, with its JSON report."""
    report = fleet.directory / "growth.json"
    picket, whole = picket_peak(fleet, "run", suite, "--quiet", "--deadline", "1h", "--report-json", report, "--coordinator", fleet.grpc)
    run = last_run(fleet)
    seconds = run_seconds(run)
    ledger = run["ledger"]
    if int(ledger["passed"]) != count or int(ledger["planned"]) != count:
        raise AssertionError(f"growth {label}: {ledger}")
    peers = peers() if peers else None
    rest = whole - seconds
    return figure(f"growth-{label}", count / seconds, "executions/s",
                  f"{seconds:.2f} s + {rest:.2f} s admission and report; coordinator {coordinator.peak_bytes() / 1e6:.0f} MB, "
                  f"{'agent ' + format(peers / 1e6, '.0f') + ' MB, ' if peers else ''}picket {picket / 1e6:.0f} MB, "
                  f"{status_of(coordinator.pid, 'Threads')} threads, report {report.stat().st_size / 1e6:.1f} MB", None,
                  "picket <= 200 MB" if count >= 1_000_000 else "", picket <= 200e6 if count >= 1_000_000 else None)


@row
def growth(_):
    """How cost grows with executions (4 instant agents), with agents (100,000 executions), and on a real agent."""
    sizes = [1_000, 10_000, 100_000] if quick else [1_000, 10_000, 100_000, 1_000_000]
    plans = [(f"{count}x4", count, 4, False) for count in sizes]
    plans += [(f"100000x{agents}", 100_000, agents, False) for agents in (1, 10, 100, 1_000)]
    plans += [(f"real-{count}x1", count, 1, True) for count in ([1_000, 10_000] if quick else [1_000, 10_000, 100_000])]
    for label, count, agents, real in plans:
        fleet = Fleet()
        try:
            url = start_target(fleet)[1] if real else "http://127.0.0.1:1/"
            coordinator = fleet.start_coordinator()
            if real:
                crowd = fleet.start_agent("default", "bench", "--capacity", "64")
                peak = crowd.peak_bytes
            else:
                crowd = InstantAgents(fleet, agents)
                peak = None
            yield growth_line(label, fleet, coordinator, rows_suite(fleet, url, count), count, agents, peak)
            if not real:
                crowd.close()
        finally:
            fleet.close()


@row
def churn(fleet):
    """1,000 sessions of which 100 a second leave and come back as new instances, during a run."""
    coordinator = fleet.start_coordinator()
    count, agents, rate = (100_000, 200, 50) if quick else (400_000, 1_000, 100)
    seconds = 5 if quick else 40
    before = status_of(coordinator.pid, "Threads")
    crowd = InstantAgents(fleet, agents, "--window", "20", "--churn", str(rate))
    stays = InstantAgents(fleet, 1)
    memory = lambda: status_of(coordinator.pid, "VmRSS") * 1024
    begin = time.monotonic()
    timed_run(fleet, rows_suite(fleet, "http://127.0.0.1:1/", count, extra="repeatable: true"), "--deadline", "10m")
    ledger = last_run(fleet)["ledger"]
    wait_until(lambda: time.monotonic() - begin > seconds / 2, "half of the churn", seconds)
    half = memory()
    wait_until(lambda: time.monotonic() - begin > seconds, "the other half", seconds)
    grown, threads = memory() - half, status_of(coordinator.pid, "Threads") - before
    stays.close()
    sessions = crowd.close()
    lost = int(ledger["planned"]) - int(ledger["passed"])
    yield figure("churn", threads, "threads more than without", f"{agents} sessions, {sessions} in all; {lost} of {count} executions not passed", None,
                 "<= 16, none lost", threads <= 16 and lost == 0)
    yield figure("churn-memory", grown / 1e6, "MB grown in the second half", f"{memory() / 1e6:.0f} MB after it", None, "<= 30 MB", grown <= 30e6)


def main():
    global quick
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append", choices=sorted(ROWS))
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true", help="shorter, for trying the benchmark itself")
    args = parser.parse_args()
    quick = measure.quick = args.quick
    told = []
    for name, measured in ROWS.items():
        if args.only and name not in args.only:
            continue
        fleet = None if name == "growth" else Fleet()  # growth makes its own, one a line
        try:
            for line in measured(fleet):
                told.append(line)
                ratio = "" if line["ratio"] is None else f"ratio {line['ratio']:.2f}"
                met = {True: "met", False: "NOT MET", None: ""}[line["met"]]
                print(f"{line['name']:22} {line['figure']:>12,.1f} {line['unit']:24} {line['peer']:44} {ratio:12} "
                      f"{line['bar']:28} {met}", flush=True)
        finally:
            if fleet is not None:
                fleet.close()
    if args.json:
        Path(args.json).write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
