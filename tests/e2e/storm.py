"""A storm: runs go on while agents and coordinators are killed with -9 every second, links are cut
by nft rules between network namespaces, and (on PostgreSQL) the database crashes once.

    storm.py [--store sqlite|postgres] [--runs N] [--executions N] [--parallel N] [--writes N] [--rate N]
             [--seed N]

Nothing befalls the fleet before every agent is live at the coordinators: exit 2 and the reason if they never are.
The target's own access log is the witness: what passed was there; what must not be repeated was
there at most once; what was told of a run is what any coordinator says of it afterwards. The last line says
what happened. Exit 1 if anything was lost or doubled, or nothing was killed.
"""

import argparse
import json
import random
import signal
import sys
import threading
import time
from collections import Counter

import netns
from balancer import Balancer
from fleet import BIN, Fleet, Process, free_port
from postgres import Postgres, find_server

SUITE = """
version: 1
name: storm
vars: {{ base: "http://{target}", run: "?" }}
tests:
  - name: read north
    locations: [north]
    for_each: {{ file: reads.csv }}
    request: {{ url: "{{{{ base }}}}/read-north?run={{{{ run }}}}&n={{{{ n }}}}" }}
    expect: [ {{ status: 200 }} ]
  - name: read south
    locations: [south]
    for_each: {{ file: reads.csv }}
    request: {{ url: "{{{{ base }}}}/read-south?run={{{{ run }}}}&n={{{{ n }}}}" }}
    expect: [ {{ status: 200 }} ]
  - name: write north
    locations: [north]
    for_each: {{ file: writes.csv }}
    request: {{ method: POST, url: "{{{{ base }}}}/write-north?run={{{{ run }}}}&n={{{{ n }}}}" }}
    expect: [ {{ status: 200 }} ]
  - name: write south
    locations: [south]
    for_each: {{ file: writes.csv }}
    request: {{ method: POST, url: "{{{{ base }}}}/write-south?run={{{{ run }}}}&n={{{{ n }}}}" }}
    expect: [ {{ status: 200 }} ]
"""
LOST = {"agent_lost", "lost_maybe_ran"}
AGENTS = 4


class NoScene(Exception):
    """The fleet does not stand, so that a storm over it would tell nothing."""


def told(report):
    """What must stay the same; late results may still be added as evidence."""
    return report["verdict"], report["ledger"], {(e["execution"], e["outcome"]) for e in report["executions"]}


class Member:
    """An agent or a coordinator: started again whenever it has ended."""

    def __init__(self, kind, name, command, node):
        self.kind, self.name, self.command, self.node = kind, name, command, node
        self.process, self.start_at = None, 0.0

    def running(self):
        return self.process is not None and self.process.alive()


class Storm:
    def __init__(self, options, links):
        self.options, self.links = options, links
        self.random = random.Random(options.seed)
        self.fleet = Fleet()
        self.members, self.nodes, self.cuts = [], [], []  # cuts: (mend at, [Cut])
        self.counts = Counter()
        self.postgres = None
        self.tick = threading.Event()

    # -- the fleet

    def host(self, address):
        return address if self.links else "127.0.0.1"

    def node(self):
        if not self.links:
            return None
        self.nodes.append(netns.Node())
        return self.nodes[-1]

    def start(self):
        # Answers wait their turn, so that a kill finds checks in flight.
        behind = f"unix:{self.fleet.directory}/behind.sock"
        self.target, self.access = self.fleet.start_nginx(
            f"location ~ ^/(read|write) {{ limit_req zone=turn burst=10000; proxy_pass http://{behind}; }}",
            host=self.host(netns.TARGET),
            http=f"""limit_req_zone $server_port zone=turn:1m rate={self.options.rate}r/s;
  server {{ listen {behind}; access_log off; location / {{ return 200 "hello\\n"; }} }}""")
        self.balancer = Balancer(host=self.host(netns.RELAY))
        store = f"sqlite:{self.fleet.directory}/picket.db"
        if self.options.store == "postgres":
            if find_server() is None:
                raise NoScene("no PostgreSQL server is installed (Debian: postgresql)")
            self.postgres = Postgres(self.host(netns.STORE), [netns.NETWORK] if self.links else [])
            store = self.postgres.uri
        for i in range(2 if self.postgres else 1):
            node = self.node()
            listen = f"{node.far if node else '127.0.0.1'}:{17700 + i if node else free_port()}"
            self.balancer.backends.append(listen)
            self.members.append(Member("coordinator", f"coordinator-{i}", [
                BIN / "picket-coordinator", "--listen", listen, "--http-listen", "127.0.0.1:0", "--store", store,
                "--lease-time", "3s"], node))
        for i in range(AGENTS):
            self.members.append(Member("agent", f"agent-{i}", [
                BIN / "picket-agent", "--coordinator", self.balancer.address, "--location", ("north", "south")[i % 2],
                "--name", f"agent-{i}", "--capacity", "8", "--loops", "1", "--http-listen", "127.0.0.1:0",
                "--spool", self.fleet.directory / f"spool-{i}"], self.node()))
        self.fleet.write("suite.yaml", SUITE.format(target=self.target))
        writes = self.options.writes
        self.fleet.write("reads.csv", "n\n" + "".join(f"{n}\n" for n in range(self.options.executions // 2 - writes)))
        self.fleet.write("writes.csv", "n\n" + "".join(f"{n}\n" for n in range(writes)))
        self.supervise()
        self.stand()

    def tail(self, member):
        return f"--- {member.name}\n{member.process.text()[-1500:]}"

    def stand(self):
        """Waits until every coordinator runs and every agent is live at one."""
        deadline = time.monotonic() + 30
        while True:
            ended = [m for m in self.members if not m.running()]
            if ended:
                raise NoScene("ended by itself:\n" + "\n".join(map(self.tail, ended)))
            listed = self.fleet.picket("agents", "--json", "--coordinator", self.balancer.address,
                                       "--connect-timeout", "5s")
            agents = json.loads(listed.out) if listed.code == 0 else []
            live = {a["name"] for a in agents if a["state"] == "LIVE"}
            if len(live) == AGENTS:
                return
            if time.monotonic() > deadline:
                raise NoScene(f"live after 30 s: {', '.join(sorted(live)) or 'no agent'}; {listed.err.strip()}\n" +
                              "\n".join(self.tail(m) for m in self.members if m.name not in live))
            self.tick.wait(0.1)

    def supervise(self):
        now = time.monotonic()
        for member in self.members:
            if member.running() or now < member.start_at:
                continue
            if member.process is not None:
                member.process.close()
            self.counts["starts"] += 1
            member.process = Process(member.name, (member.node.prefix if member.node else []) + member.command,
                                     self.fleet.directory)
            member.start_at = now + 0.3

    # -- what befalls it

    def kill(self):
        victim = self.random.choice([m for m in self.members if m.running()] or self.members)
        if not victim.running():
            return
        victim.process.kill()
        victim.start_at = time.monotonic() + self.random.uniform(0.1, 1.5)
        self.counts[victim.kind + "s killed"] += 1

    def cut(self):
        """One link, one way or both."""
        if not self.links:
            return
        member = self.random.choice(self.members)
        pairs = [(member.node.far, netns.RELAY)]
        if member.kind == "coordinator":
            pairs = [(member.node.near, member.node.far)]
            if self.postgres and self.random.random() < 0.5:
                pairs = [(member.node.far, netns.STORE)]
        pairs.append(pairs[0][::-1])
        if self.random.random() < 0.5:
            pairs = [self.random.choice(pairs)]
        if any(pair in [p for _, cut in self.cuts for p, _ in cut] for pair in pairs):
            return
        self.cuts.append((time.monotonic() + self.random.uniform(1, 6), [(p, netns.Cut(*p)) for p in pairs]))
        self.counts["links cut"] += 1

    def mend(self, all=False):
        now = time.monotonic()
        for when, cuts in list(self.cuts):
            if all or when <= now:
                for _, cut in cuts:
                    cut.mend()
                self.cuts.remove((when, cuts))

    # -- the runs

    def run(self):
        self.start()
        waiting = [f"r{i}" for i in range(self.options.runs)]
        going, done = {}, []
        next_kill = next_cut = time.monotonic() + 1
        back_at = None  # when the database that crashed starts again
        while waiting or going:
            now = time.monotonic()
            while waiting and len(going) < self.options.parallel:
                name = waiting.pop(0)
                going[name] = self.fleet.popen_picket(
                    "run", "suite.yaml", "--coordinator", self.balancer.address, "-e", f"run={name}", "--quiet",
                    "--deadline", "10m", "--connect-timeout", "60s", "--report-json", f"{name}.json")
            for name, run in list(going.items()):
                if run.poll() is not None:
                    done.append((name, run.returncode, run.stdout.read()))
                    run.stdout.close()
                    del going[name]
            if now >= next_kill:
                next_kill = now + 1
                self.kill()
            if now >= next_cut:
                next_cut = now + self.random.uniform(1, 4)
                self.cut()
            self.mend()
            if self.postgres and not self.counts["database crashes"] and len(done) * 2 >= self.options.runs:
                self.counts["database crashes"] += 1
                self.postgres.stop(signal.SIGQUIT)
                back_at = now + self.random.uniform(0.5, 3)
            if back_at is not None and now >= back_at:
                self.postgres.start()
                back_at = None
            self.supervise()
            self.tick.wait(0.05)
        self.mend(all=True)
        if back_at is not None:
            self.postgres.start()
        return done

    # -- what is true afterwards

    def judge(self, done):
        seen = Counter(line for line in self.access.read_text().split("\n") if line.startswith("/"))
        wrong = []
        for name, code, out in done:
            try:
                report = json.loads((self.fleet.directory / f"{name}.json").read_text())
            except (OSError, ValueError) as error:
                wrong.append(f"{name}: exit {code}, no report: {error}; {out[-500:]}")
                self.counts["lost"] += self.options.executions
                continue
            self.judge_run(name, code, report, seen, wrong)
            self.judge_memory(name, code, report, wrong)
        self.counts["requests repeated"] = sum(seen.values()) - len(seen)
        twice = [uri for uri, count in seen.items() if uri.startswith("/write") and count > 1]
        self.counts["run twice"] = len(twice)
        wrong += [f"{uri} is not repeatable and reached the target {seen[uri]} times" for uri in twice]
        return wrong

    def judge_run(self, name, code, report, seen, wrong):
        planned = report["ledger"]["planned"]
        ends = Counter((e["test"], e["location"], json.dumps(e.get("row"))) for e in report["executions"])
        self.counts["executions"] += planned
        self.counts["duplicated"] += sum(ends.values()) - len(ends)
        self.counts["lost"] += self.options.executions - len(ends)
        ledger = {k: v for k, v in report["ledger"].items() if k not in ("planned", "flaky") and v}
        if planned != self.options.executions or sum(ledger.values()) != planned:
            wrong.append(f"{name}: ledger {report['ledger']} of {self.options.executions}")
        for e in report["executions"]:
            lost = e["outcome"] == "INCONCLUSIVE" and e["reason"] in LOST
            if e["outcome"] != "PASSED" and not lost:
                wrong.append(f"{name}: {e['test']} {e.get('row')} ended {e['outcome']} {e['reason']}")
                self.counts["wrong ends"] += 1
            self.counts["reported lost"] += lost
            self.counts[e["reason"]] += lost
        reached = Counter(uri.split("?")[0] for uri in seen if f"run={name}&" in uri)
        passed = Counter("/" + e["test"].replace(" ", "-") for e in report["executions"] if e["outcome"] == "PASSED")
        for path, count in passed.items():
            if reached[path] < count:
                wrong.append(f"{name}: {count} of {path} passed, {reached[path]} reached the target")
                self.counts["lost"] += count - reached[path]
        expected = 3 if ledger.get("inconclusive") else 0
        if code != expected:
            wrong.append(f"{name}: exit {code}, its ledger says {expected}")

    def judge_memory(self, name, code, report, wrong):
        """A verdict never changes: whoever is asked says what was told."""
        self.supervise()
        again = self.fleet.picket("show", report["run_id"], "--json", "--coordinator", self.balancer.address,
                                  "--connect-timeout", "60s")
        if again.code != 0:
            wrong.append(f"{name}: is not known afterwards: {again.both[-500:]}")
            return
        now = json.loads(again.out)
        if told(now) != told(report):
            wrong.append(f"{name}: was told other than it is stored: {report['ledger']}, {now['ledger']}")
            self.counts["changed"] += 1

    def close(self):
        self.mend(all=True)
        for member in self.members:
            if member.process is not None:
                member.process.close()
        if self.postgres:
            self.postgres.close()
        self.fleet.close()
        for node in self.nodes:
            node.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--executions", type=int, default=400)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--writes", type=int, help="of a run and place, what must not be repeated; a twentieth by "
                        "default. One that was in flight when its agent died keeps its run open for a minute.")
    parser.add_argument("--rate", type=int, default=200, help="answers of the target a second, so that runs last")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.executions -= options.executions % 2
    if options.writes is None:
        options.writes = options.executions // 20
    links = netns.enter_hub()
    if not links:
        print("links are not cut: network namespaces and nft need privileges that are missing here")
    started = time.monotonic()
    storm = Storm(options, links)
    try:
        try:
            done = storm.run()
        except NoScene as why:
            print(f"storm on {options.store}: did not begin: {why}")
            return 2
        wrong = storm.judge(done)
        if wrong:
            for line in wrong[:40]:
                print("WRONG", line)
            for member in storm.members:
                print(storm.tail(member))
    finally:
        storm.close()
    c = storm.counts
    print(f"storm on {options.store}: {options.runs} runs, {c['executions']} executions, "
          f"{c['agents killed'] + c['coordinators killed']} kills ({c['agents killed']} agents, "
          f"{c['coordinators killed']} coordinators), {c['links cut']} links cut, "
          f"{c['database crashes']} database crashes, lost {c['lost']}, duplicated in the verdict {c['duplicated']}, "
          f"changed afterwards {c['changed']}, "
          f"run twice though not repeatable {c['run twice']}, reported lost {c['reported lost']} "
          f"({c['agent_lost']} agent_lost, {c['lost_maybe_ran']} lost_maybe_ran), "
          f"{c['requests repeated']} requests repeated, {time.monotonic() - started:.0f} s")
    if c["agents killed"] + c["coordinators killed"] == 0:
        print("nothing was killed: the runs were over too soon to prove anything; ask for more --executions or --runs")
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
