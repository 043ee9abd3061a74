"""Webhooks: a real receiver that checks signatures, fails, redirects and never answers."""

import base64
import hashlib
import hmac
import json
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fleet import BIN, FleetCase, free_port, main, wait_until
from postgres import Postgres, find_server

OLD = b"an old secret of 32 bytes length"
NEW = b"the new secret, of 32 bytes long"
SUITE = """
version: 1
name: shop
vars: { base: "http://127.0.0.1:1" }
tests:
  - name: "home \\"page\\" answers"
    request: { url: "{{ base }}/" }
    expect: [ { status: 200 } ]
"""


def secret_line(key):
    return f"whsec_{base64.b64encode(key).decode()}\n"


def signed_by(post, key):
    """Whether one of the signatures is the key's, as Standard Webhooks has it."""
    content = f"{post['id']}.{post['timestamp']}.".encode() + post["body"]
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, s) for s in post["signature"].split(" "))


class Receiver:
    """Keeps every POST. The path says how it answers."""

    def __init__(self, port=0):
        self.posts = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.lock:
                    before = sum(p["path"] == self.path for p in receiver.posts)
                    receiver.posts.append({
                        "path": self.path, "body": body, "id": self.headers["webhook-id"],
                        "timestamp": self.headers["webhook-timestamp"],
                        "signature": self.headers["webhook-signature"], "type": self.headers["content-type"]})
                status = {"/flaky": 500 if before == 0 else 200, "/redirect": 307, "/gone": 410}.get(self.path, 200)
                if self.path == "/never":
                    receiver.closing.wait(60)
                    return
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", f"http://{receiver.address}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def to(self, path):
        with self.lock:
            return [p for p in self.posts if p["path"] == path]

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class WebhookTest(FleetCase):
    def setUp(self):
        super().setUp()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        self.secrets = self.fleet.write("secrets", secret_line(NEW) + secret_line(OLD))
        self.suite = self.fleet.write("shop.yaml", SUITE)
        self.target, _ = self.fleet.start_nginx()

    def coordinator(self, *paths, address=None, name="coordinator", store=None, to=None, options=()):
        """One that tells the receiver's `paths`, each by a target of that name (or all at path `to`)."""
        flags = []
        for path in paths:
            flags += ["--webhook-url", f"{path}=http://{address or self.receiver.address}/{to or path}",
                      "--webhook-secret-file", f"{path}={self.secrets}"]
        return self.fleet.start_coordinator(store, "127.0.0.1:0", name, *flags, *options)

    def seal(self, expect=0):
        result = self.fleet.run(self.suite, "-e", f"base=http://{self.target}", "--report-json", "run.json",
                                "--label", "stage=staging", expect=expect)
        self.assertEqual(result.code, expect)
        return json.loads((self.fleet.directory / "run.json").read_text())["run_id"]

    def metric(self, name, target, outcome=None):
        labels = (f'outcome="{outcome}",' if outcome else "") + f'target="{target}"'
        for line in self.fleet.http("/metrics")[1].split("\n"):
            if line.startswith(f"{name}{{{labels}}} "):
                return float(line.split(" ")[-1])
        return None

    def test_a_sealed_run_is_told_signed_by_every_secret(self):
        self.coordinator("ok")
        self.fleet.start_agent()
        before = int(time.time())
        run = self.seal()
        post = wait_until(lambda: self.receiver.to("/ok"), "the webhook")[0]
        self.assertEqual(post["id"], f"sealed_{run}")
        self.assertEqual(post["type"], "application/json")
        self.assertLessEqual(abs(int(post["timestamp"]) - before), 60)
        self.assertTrue(signed_by(post, NEW) and signed_by(post, OLD))
        self.assertFalse(signed_by(post, b"x" * 32))
        self.assertFalse(signed_by({**post, "body": post["body"].replace(b"PASSED", b"FAILED")}, NEW))
        message = json.loads(post["body"])
        self.assertEqual(message["type"], "run.sealed")
        self.assertEqual(message["data"]["run_id"], run)
        self.assertEqual(message["data"]["verdict"], "PASSED")
        self.assertEqual(message["data"]["ledger"]["passed"], 1)
        self.assertEqual(message["data"]["labels"]["stage"], "staging")
        self.assertEqual(message["timestamp"], message["data"]["seal_time"][:19] + "Z")
        # A rotation needs no restart.
        self.secrets.write_text(secret_line(OLD))
        self.seal()
        post = wait_until(lambda: self.receiver.to("/ok")[1:], "the second webhook")[0]
        self.assertTrue(signed_by(post, OLD))
        self.assertFalse(signed_by(post, NEW))
        wait_until(lambda: self.metric("picket_outbox_pending", "ok") == 0, "an empty outbox")
        self.assertEqual(self.metric("picket_webhooks_total", "ok", "delivered"), 2)

    def test_failures_are_tried_again_and_redirects_lead_nowhere(self):
        self.coordinator("flaky", "redirect", "gone", options=("--webhook-tries", "2"))
        self.fleet.start_agent()
        self.seal()
        posts = wait_until(lambda: len(self.receiver.to("/flaky")) == 2 and self.receiver.to("/flaky"), "a second try")
        self.assertEqual(posts[0]["id"], posts[1]["id"])
        self.assertEqual(posts[0]["body"], posts[1]["body"])
        self.assertTrue(all(signed_by(p, NEW) for p in posts))
        wait_until(lambda: self.metric("picket_webhooks_total", "redirect", "gave_up") == 1, "giving up")
        self.assertEqual(len(self.receiver.to("/redirect")), 2)
        self.assertEqual(self.receiver.to("/elsewhere"), [])
        self.assertEqual(len(self.receiver.to("/gone")), 1)
        self.assertEqual(self.metric("picket_webhooks_total", "flaky", "retried"), 1)
        self.assertEqual(self.metric("picket_webhooks_total", "flaky", "delivered"), 1)

    def test_who_never_answers_holds_nothing_up(self):
        coordinator = self.coordinator("never", "ok", options=("--webhook-timeout", "60s"))
        self.fleet.start_agent()
        for _ in range(10):
            self.seal()
        wait_until(lambda: len(self.receiver.to("/ok")) == 10, "the other target's webhooks")
        self.assertLessEqual(len(self.receiver.to("/never")), 4)
        self.assertEqual(self.fleet.http("/readyz")[0], 200)
        self.assertEqual(self.metric("picket_outbox_pending", "never"), 10)
        # Nor the end of the coordinator.
        self.assertEqual(coordinator.stop(timeout=10), 0)

    def test_a_coordinator_killed_before_the_delivery_delivers_it_after_its_start(self):
        address = f"127.0.0.1:{free_port()}"
        coordinator = self.coordinator("ok", address=address)
        self.fleet.start_agent()
        run = self.seal()
        wait_until(lambda: self.metric("picket_webhooks_total", "ok", "retried"), "a first try in vain")
        coordinator.kill()
        self.coordinator("ok", name="coordinator-2")
        post = wait_until(lambda: self.receiver.to("/ok"), "the webhook")[0]
        self.assertEqual(post["id"], f"sealed_{run}")
        self.assertTrue(signed_by(post, NEW))
        wait_until(lambda: self.metric("picket_outbox_pending", "ok") == 0, "an empty outbox")
        self.assertEqual(len(self.receiver.to("/ok")), 1)

    @unittest.skipUnless(find_server(), "no PostgreSQL server is installed (Debian: postgresql)")
    def test_over_postgresql_another_coordinator_delivers_what_a_killed_one_owes(self):
        postgres = Postgres()
        self.addCleanup(postgres.close)
        # Both serve one target; where the first has it, nobody ever answers.
        victim = self.coordinator("never", name="victim", store=postgres.uri, options=("--webhook-timeout", "2s"))
        self.fleet.start_agent()
        run = self.seal()
        first = wait_until(lambda: self.receiver.to("/never"), "the first try")[0]
        self.assertEqual(first["id"], f"sealed_{run}")
        # It holds the row, told nobody how the try went, and dies.
        victim.kill()
        heir = self.coordinator("never", name="heir", store=postgres.uri, to="ok")
        post = wait_until(lambda: self.receiver.to("/ok"), "the webhook from the other coordinator", 60)[0]
        self.assertEqual((post["id"], post["body"]), (first["id"], first["body"]))
        self.assertTrue(signed_by(post, NEW))
        self.assertEqual(self.fleet.http(f"/v1/runs/{run}", heir)[0], 200)
        wait_until(lambda: self.metric("picket_outbox_pending", "never") == 0, "an empty outbox")
        self.assertEqual(len(self.receiver.to("/ok")), 1)

    @unittest.skipUnless(find_server(), "no PostgreSQL server is installed (Debian: postgresql)")
    def test_over_postgresql_coordinators_share_the_work_and_one_may_be_killed(self):
        postgres = Postgres()
        self.addCleanup(postgres.close)
        victim = self.coordinator("ok", name="victim", store=postgres.uri)
        survivor = self.coordinator("ok", name="survivor", store=postgres.uri)
        self.fleet.start_agent(coordinator=survivor.info["grpc"])
        runs = {self.seal() for _ in range(5)}
        victim.kill()
        runs |= {self.seal() for _ in range(5)}
        wait_until(lambda: self.metric("picket_outbox_pending", "ok") == 0, "an empty outbox", 60)
        told = [post["id"] for post in self.receiver.to("/ok")]
        # One that was posted and not yet settled when the coordinator died comes twice.
        self.assertEqual(set(told), {f"sealed_{run}" for run in runs})
        self.assertLessEqual(len(told), len(runs) + 4)

    def test_a_configuration_that_cannot_work_is_refused(self):
        def refused(why, *flags):
            process = self.fleet.start("refused", [
                BIN / "picket-coordinator", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                "--store", f"sqlite:{self.fleet.directory}/refused.db", *flags])
            self.assertEqual(process.popen.wait(20), 2, process.text())
            self.assertIn(why, process.text())

        refused("no secret to sign with", "--webhook-url", "ok=http://127.0.0.1:1/")
        refused("credentials", "--webhook-url", "ok=http://a:b@127.0.0.1:1/",
                "--webhook-secret-file", f"ok={self.secrets}")
        refused("absolute http", "--webhook-url", "ok=file:///etc/passwd",
                "--webhook-secret-file", f"ok={self.secrets}")


if __name__ == "__main__":
    main()
