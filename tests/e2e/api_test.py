"""The HTTP API of a real coordinator, held to its own OpenAPI document."""

import json
import re
import urllib.error
import urllib.request

from fleet import ROOT, FleetCase, main

SUITE = """
version: 1
name: shop
vars: {{ base: "http://{target}" }}
tests:
  - name: answers
    request: {{ url: "{{{{ base }}}}/" }}
    expect: [ {{ status: 200 }} ]
  - name: "breaks <b>&'\\"]]>"
    request: {{ url: "{{{{ base }}}}/" }}
    expect: [ {{ status: 204 }} ]
"""


def ask(address, method, target, body=None, content_type="application/json", host=None):
    """(status, headers, text) of one request."""
    headers = {"Host": host} if host else {}
    if body is not None:
        headers["Content-Type"] = content_type
    request = urllib.request.Request(f"http://{address}{target}", method=method, headers=headers,
                                     data=body.encode() if body is not None else None)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


class Document:
    def __init__(self, text):
        self.json = json.loads(text)
        self.operations = [(method.upper(), path, operation) for path, methods in self.json["paths"].items()
                           for method, operation in methods.items()]

    def check(self, value, schema, where="$"):
        """Complaints about `value`; every member must be described."""
        if "$ref" in schema:
            node = self.json
            for part in schema["$ref"].lstrip("#/").split("/"):
                node = node[part]
            yield from self.check(value, node, where)
            return
        kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
        kind = schema.get("type")
        if kind and (not isinstance(value, kinds[kind]) or kind != "boolean" and isinstance(value, bool)):
            yield f"{where}: {value!r} is no {kind}"
        elif "enum" in schema and value not in schema["enum"]:
            yield f"{where}: {value!r} is none of {schema['enum']}"
        elif kind == "array":
            for number, element in enumerate(value):
                yield from self.check(element, schema["items"], f"{where}[{number}]")
        elif kind == "object" and ("properties" in schema or "additionalProperties" in schema):
            for key, member in value.items():
                inner = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
                if inner is None:
                    yield f"{where}.{key} is not described"
                else:
                    yield from self.check(member, inner, f"{where}.{key}")
        elif schema.get("format") == "date-time" and not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value):
            yield f"{where}: {value!r} is no time"


class ApiTest(FleetCase):
    def setUp(self):
        super().setUp()
        target, _ = self.fleet.start_nginx()
        self.fleet.start_coordinator()
        self.fleet.start_agent("default", "web-1")
        self.suite = self.fleet.write("shop.yaml", SUITE.format(target=target))
        self.fleet.run(self.suite, "--report-json", "failed.json", "--label", "a=b", expect=1)
        self.fleet.run(self.suite, "-g", "answers", "--report-json", "passed.json", expect=0)
        self.run_id = {name: json.loads((self.fleet.directory / f"{name}.json").read_text())["run_id"]
                       for name in ("failed", "passed")}
        self.address = self.fleet.coordinator.info["http"]
        self.document = Document(self.ask("GET", "/openapi.json")[2])

    def ask(self, *args, **kwargs):
        return ask(self.address, *args, **kwargs)

    def test_every_operation_answers_as_it_is_described(self):
        bodies = {"createRun": json.dumps({"spec": {}}), "flaggerGate": json.dumps(
            {"name": "shop", "metadata": {"run_id": self.run_id["passed"]}})}
        for method, path, operation in self.document.operations:
            run = self.run_id["passed" if operation["operationId"] == "gate" else "failed"]
            target = path.format(run_id=run, execution=1, attempt=1, agent="web-1")
            body = bodies.get(operation["operationId"], "{}") if method == "POST" else None
            with self.subTest(operation["operationId"]):
                status, headers, text = self.ask(method, target, body)
                if operation["operationId"] == "createRun":
                    # An empty spec is refused; one that runs is started in a test of its own.
                    self.assertEqual((status, headers["Content-Type"]), (400, "application/problem+json"), text)
                    continue
                success = next(code for code in operation["responses"] if code.startswith("2"))
                self.assertEqual(str(status), success, text[:500])
                (kind, content), = operation["responses"][success]["content"].items()
                self.assertEqual(headers["Content-Type"].split(";")[0], kind)
                if kind == "application/json":
                    self.assertEqual(list(self.document.check(json.loads(text), content["schema"])), [])

    def test_errors_are_the_problems_that_are_described(self):
        for method, path, operation in self.document.operations:
            codes = operation["responses"]
            body = "{}" if method == "POST" else None
            good = path.format(run_id=self.run_id["failed"], execution=1, attempt=1, agent="web-1")
            cases = []
            if "404" in codes and "{" in path:
                cases.append((404, path.format(run_id="aaaaaaaaaaaaaaaa", execution=1, attempt=1, agent="nobody"), body))
            if "415" in codes:
                cases.append((415, good, "a=b"))
            for parameter in operation.get("parameters", []):
                bad = {"page_size": "many", "wait": "soon", "view": "HUGE"}.get(parameter["name"])
                if bad:
                    cases.append((400, f"{good}?{parameter['name']}={bad}", body))
            for expected, target, sent in cases:
                with self.subTest(f"{operation['operationId']} {expected}"):
                    kind = "text/plain" if expected == 415 else "application/json"
                    status, headers, text = self.ask(method, target, sent, kind)
                    self.assertEqual(status, expected, text)
                    self.assertIn(str(expected), codes)
                    self.assertEqual(headers["Content-Type"], "application/problem+json")
                    problem = json.loads(text)
                    self.assertEqual(problem["status"], expected)
                    self.assertTrue(problem["title"] and problem["detail"], problem)

    def test_the_protocol_page_and_the_document_name_the_same_routes(self):
        page = (ROOT / "docs/PROTOCOL.md").read_text()
        written = set()
        for line in re.findall(r"^\| (`(?:GET|POST) .*?) \|", page.replace("\\|", "/"), re.M):
            for method, path in re.findall(r"`(GET|POST) ([^`?]+)", line):
                written.add((method, re.sub(r"\{[^}]*\}", "{}", path)))
        reports = re.compile(r"/reports/\w+$")
        described = {(m, re.sub(r"\{[^}]*\}", "{}", reports.sub("/reports/{}", p))) for m, p, _ in self.document.operations}
        self.assertEqual(written, described)

    def test_a_run_is_started_watched_and_read_by_http_alone(self):
        body = json.loads(self.fleet.run(self.suite, "-g", "answers", "--dry-run", "--json", expect=0).out)
        body["request_id"] = "7b6ba6a5-6f3c-4ca4-a3d0-3c1a1b1c1d1e"
        status, _, text = self.ask("POST", "/v1/runs", json.dumps(body))
        self.assertEqual(status, 201, text)
        self.assertEqual(list(self.document.check(json.loads(text), {"$ref": "#/components/schemas/CreateRunResponse"})), [])
        run = json.loads(text)["run"]["run_id"]
        again = self.ask("POST", "/v1/runs", json.dumps(body))
        self.assertEqual(json.loads(again[2])["run"]["run_id"], run)
        body["spec"]["deadline"] = "61s"
        self.assertEqual(self.ask("POST", "/v1/runs", json.dumps(body))[0], 409)
        events = self.ask("GET", f"/v1/runs/{run}/watch")[2]
        self.assertTrue(events.startswith("event: state\ndata: {"), events[:200])
        self.assertTrue(events.endswith("event: end\ndata: {}\n\n"), events[-200:])
        status, _, text = self.ask("GET", f"/v1/runs/{run}/verdict?wait=30s")
        self.assertEqual((status, json.loads(text)["verdict"]), (200, "PASSED"))
        self.assertEqual(self.ask("GET", f"/v1/runs/{run}/gate")[0], 200)
        junit = self.ask("GET", f"/v1/runs/{run}/reports/junit?wait=30s")[2]
        self.assertIn('failures="0"', junit)
        self.assertTrue(junit.endswith("</testsuites>\n"))

    def test_a_run_is_cancelled_by_http(self):
        suite = self.fleet.write("far.yaml", SUITE.format(target="127.0.0.1:1").replace("version: 1", "version: 1\nlocations: [nowhere]"))
        body = self.fleet.run(suite, "--dry-run", "--json", expect=0).out
        run = json.loads(self.ask("POST", "/v1/runs", body)[2])["run"]["run_id"]
        self.assertEqual(self.ask("GET", f"/v1/runs/{run}/gate")[0], 503)
        self.assertEqual(self.ask("GET", f"/v1/runs/{run}/reports/junit")[0], 409)
        status, _, text = self.ask("POST", f"/v1/runs/{run}:cancel", "{}")
        self.assertEqual((status, json.loads(text)["end_cause"]), (200, "CANCELLED"))
        self.assertEqual(self.ask("GET", f"/v1/runs/{run}/gate")[0], 409)

    def test_reports_by_http_are_those_of_the_command_line(self):
        run = self.run_id["failed"]
        for name in ("junit", "json", "ctrf", "tap", "markdown", "html"):
            self.fleet.picket("report", run, "--coordinator", self.fleet.grpc, f"--{name}", f"by-grpc.{name}", expect=0)
            status, headers, text = self.ask("GET", f"/v1/runs/{run}/reports/{name}")
            self.assertEqual(status, 200)
            self.assertEqual(text, (self.fleet.directory / f"by-grpc.{name}").read_text(), name)

    def test_only_known_hosts_are_served(self):
        for host, expected in (("picket.example.com", 403), ("127.0.0.1", 200), ("localhost:80", 200)):
            self.assertEqual(self.ask("GET", "/v1/runs", host=host)[0], expected, host)
        self.assertEqual(self.ask("GET", "/healthz", host="anything")[0], 200)

    def test_other_methods_are_told_what_a_path_takes(self):
        for method, path, allow in (("DELETE", "/v1/runs", "POST"), ("POST", f"/v1/runs/{self.run_id['passed']}/gate", "GET"),
                                    ("GET", "/v1/gate/flagger", "POST"), ("PUT", "/v1/runs/x", "GET")):
            status, headers, _ = self.ask(method, path, "{}" if method in ("POST", "PUT") else None)
            self.assertEqual(status, 405, path)
            self.assertIn(allow, headers["Allow"], path)


if __name__ == "__main__":
    main()
