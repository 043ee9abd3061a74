"""Metrics as Prometheus sees them: lint-clean, scraped, and true."""

import json
import re
import shutil
import subprocess
import unittest
import urllib.parse

from fleet import FleetCase, free_port, http_get, main, wait_until

SUITE = """
version: 1
name: shop
vars: {{ base: "http://{target}" }}
tests:
  - name: answers
    request: {{ url: "{{{{ base }}}}/" }}
    expect: [ {{ status: 200 }} ]
  - name: fails
    request: {{ url: "{{{{ base }}}}/" }}
    expect: [ {{ status: 204 }} ]
"""


class MetricsTest(FleetCase):
    def setUp(self):
        super().setUp()
        target, _ = self.fleet.start_nginx()
        self.suite = self.fleet.write("suite.yaml", SUITE.format(target=target))
        self.coordinator = self.fleet.start_coordinator()
        self.agent = self.fleet.start_agent("eu-west", "agent-1")
        self.suite.write_text(self.suite.read_text().replace("name: shop", "name: shop\nlocations: [eu-west]", 1))

    def test_promtool_finds_nothing(self):
        self.fleet.run(self.suite, expect=1)
        for process, path in ((self.coordinator, "/metrics"), (self.coordinator, "/probes"), (self.agent, "/metrics")):
            status, text = self.fleet.http(path, process)
            self.assertEqual(status, 200)
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), f"{process.name}{path}")

    def test_no_label_holds_a_url_a_run_or_an_error(self):
        run = self.fleet.run(self.suite, expect=1)
        run_id = json.loads(self.fleet.http("/v1/runs")[1])["runs"][0]["run_id"]
        for process, path in ((self.coordinator, "/metrics"), (self.coordinator, "/probes"), (self.agent, "/metrics")):
            text = self.fleet.http(path, process)[1]
            self.assertNotIn(run_id, text)
            self.assertNotRegex(text, r'\{[^}]*http://')

    def test_prometheus_scrapes_and_answers(self):
        port = free_port()
        config = self.fleet.write("prometheus.yml", f"""
global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: coordinator
    static_configs: [ {{ targets: ["{self.coordinator.info['http']}"] }} ]
  - job_name: probes
    metrics_path: /probes
    static_configs: [ {{ targets: ["{self.coordinator.info['http']}"] }} ]
  - job_name: agent
    static_configs: [ {{ targets: ["{self.agent.info['http']}"] }} ]
""")
        self.fleet.start("prometheus", [
            shutil.which("prometheus") or "/usr/bin/prometheus", f"--config.file={config}",
            f"--storage.tsdb.path={self.fleet.directory}/tsdb", f"--web.listen-address=127.0.0.1:{port}"])
        self.fleet.run(self.suite, expect=1)

        def query(expression):
            url = f"http://127.0.0.1:{port}/api/v1/query?query=" + urllib.parse.quote(expression)
            text = http_get(url)
            # Until it has read its own log, Prometheus answers in words.
            if not text or not text.startswith("{"):
                return None
            return [(r["metric"], float(r["value"][1])) for r in json.loads(text)["data"]["result"]] or None

        for expression, value in (
                ('sum(up)', 3),
                ('sum(picket_runs_total{verdict="FAILED"})', 1),
                ('sum(picket_executions_total{location="eu-west",outcome="passed"})', 1),
                ('sum(picket_executions_total{location="eu-west",outcome="failed"})', 1),
                ('sum(picket_agents{location="eu-west",state="live"})', 1),
                ('sum(picket_agent_checks_total{outcome="failed",reason="assertion"})', 1),
                ('probe_success{suite="shop",test="answers",location="eu-west"}', 1),
                ('probe_success{suite="shop",test="fails",location="eu-west"}', 0),
                ('probe_http_status_code{test="answers"}', 200)):
            with self.subTest(expression):
                def seen():
                    answer = query(expression)
                    return answer is not None and answer[0][1] == value
                wait_until(seen, f"{expression} == {value}; now {query(expression)}", 30)
        phases = {m["phase"] for m, _ in query('probe_http_duration_seconds{test="answers"}')}
        self.assertEqual(phases, {"resolve", "connect", "tls", "processing", "transfer"})

    def test_health_and_readiness(self):
        for process in (self.coordinator, self.agent):
            self.assertEqual(self.fleet.http("/healthz", process)[0], 200)
            wait_until(lambda: self.fleet.http("/readyz", process)[0] == 200, f"{process.name} to be ready")
        self.coordinator.kill()
        wait_until(lambda: self.fleet.http("/readyz", self.agent)[0] == 503, "the agent to notice")
        self.assertEqual(self.fleet.http("/healthz", self.agent)[0], 200)

    def grpc_call(self, method, message):
        """One unary gRPC call by curl: a five-byte frame header, then the message."""
        frame = b"\0" + len(message).to_bytes(4, "big") + message
        done = subprocess.run(["curl", "-sS", "-m", "10", "--http2-prior-knowledge", "-X", "POST", "-H", "te: trailers",
                               "-H", "content-type: application/grpc", "--data-binary", "@-",
                               f"http://{self.coordinator.info['grpc']}/{method}"], input=frame, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout[5:]

    def test_grpc_health_and_reflection_are_on(self):
        self.assertEqual(self.grpc_call("grpc.health.v1.Health/Check", b""), b"\x08\x01")  # SERVING
        listed = self.grpc_call("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", b"\x3a\x00")
        for service in (b"picket.v1.RunService", b"picket.v1.FleetService", b"picket.v1.AgentService"):
            self.assertIn(service, listed)

    def test_http_api_speaks_protobuf_json(self):
        self.fleet.run(self.suite, expect=1)
        runs = json.loads(self.fleet.http("/v1/runs")[1])["runs"]
        run = json.loads(self.fleet.http(f"/v1/runs/{runs[0]['run_id']}")[1])
        self.assertEqual((run["state"], run["verdict"], run["ledger"]["planned"], run["ledger"]["flaky"]),
                         ("SEALED", "FAILED", 2, 0))
        agents = json.loads(self.fleet.http("/v1/agents")[1])["agents"]
        self.assertEqual([(a["name"], a["location"], a["state"]) for a in agents], [("agent-1", "eu-west", "LIVE")])
        # A path cut at an escaped NUL would answer 200 where the gate says stop.
        gate = f"/v1/runs/{runs[0]['run_id']}"
        self.assertEqual(self.fleet.http(f"{gate}/gate")[0], 412)
        self.assertEqual(self.fleet.http(f"{gate}%00/gate")[0], 400)
        self.assertEqual(self.fleet.http(f"{gate}%2Fgate")[0], 412)
        status, text = self.fleet.http("/v1/runs/aaaaaaaaaaaaaaaa")
        self.assertEqual(status, 404)
        self.assertEqual(json.loads(text)["status"], 404)


if __name__ == "__main__":
    main()
