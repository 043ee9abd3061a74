"""The recipes of deploy/pipelines: the shell one with real nginx, the others by running what they hold."""

import json
import os
import re
import subprocess
import unittest

import yaml

from fleet import BIN, ROOT, FleetCase, http_request, main

PIPELINES = ROOT / "deploy/pipelines"
SHELL = PIPELINES / "shell"
SUITE = """
version: 1
name: shop
locations: [eu-west, us-east]
vars: { base: "http://127.0.0.1:1" }
tests:
  - name: home page answers
    tags: [smoke]
    request: { url: "{{ base }}/" }
    expect: [ { status: 200 } ]
"""
SITES = 'location /good/ { return 200 "fine"; } location /bad/ { return 500 "broken"; }'
# What a team writes itself: README.md of the recipes says what each does. They leave a log.
TEAM = {
    "build.sh": 'mkdir -p out; echo build >> ci.log; printf "sha256:%s" "$(echo a build | sha256sum | cut -c1-64)" > out/subject',
    "serve.sh": 'if [ "$1" = start ]; then echo "$BUILD_URL"; else echo "serve stop" >> ci.log; fi',
    "deploy.sh": 'echo "deploy $1" >> ci.log; [ "$2" = "$(cat out/subject)" ]',
    "rollback.sh": 'echo "rollback $1" >> ci.log',
}
KUBECTL = """#!/bin/sh
echo "kubectl $*" >> ci.log
case "$*" in *"get deployment"*) echo registry.example.com/shop@sha256:before ;; esac
"""


class PipelineCase(FleetCase):
    def start(self):
        self.fleet.start_coordinator()
        for location in ("eu-west", "us-east"):
            self.fleet.start_agent(location)
        self.env = {"PATH": f"{BIN}:{os.environ['PATH']}", "PICKET_COORDINATOR": self.fleet.grpc}

    def shell(self, command, env, cwd, shell=("bash", "-eo", "pipefail")):
        done = subprocess.run([*shell, "-c", command], text=True, timeout=180, cwd=cwd, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **self.env, **env})
        self.transcript += f"$ {command.strip()}\n{done.stdout}[exit {done.returncode}]\n"
        return done.returncode

    def setUp(self):
        super().setUp()
        self.transcript = ""


class ShellPipelineTest(PipelineCase):
    """Blue/green with a real nginx: halt, prohibit, roll back, and go through."""

    def setUp(self):
        super().setUp()
        self.start()
        self.fleet.picket("keygen", "--out", "key", expect=0)
        self.env.update(STATE=str(self.fleet.directory / "state"), SIGNING_KEY=str(self.fleet.directory / "key"))
        self.bluegreen("start")
        self.addCleanup(self.bluegreen, "stop")

    def bluegreen(self, *args):
        done = subprocess.run([str(SHELL / "bluegreen.sh"), *args], text=True, capture_output=True, timeout=60,
                              env={**os.environ, **self.env})
        self.assertEqual(done.returncode, 0, f"bluegreen.sh {args}: {done.stderr}")
        return done.stdout.strip()

    def deliver(self, release, env=None):
        code = self.shell(f"'{SHELL}/pipeline.sh' '{SHELL}/releases/{release}' {release}", env or {},
                          self.fleet.directory)
        last = self.transcript.strip().split("\n")[-2]
        if os.environ.get("PICKET_TRANSCRIPT"):
            print(self.transcript)
            self.transcript = ""
        return code, last

    def live(self):
        return json.loads(http_request(self.bluegreen("url", "production") + "/version.json")[1])["release"]

    def test_only_what_passes_everywhere_stays_in_production(self):
        self.assertEqual(self.deliver("v1"), (0, "DEPLOYED: v1"))
        self.assertEqual(self.live(), "v1")

        code, last = self.deliver("v2-does-not-start")
        self.assertEqual(code, 1, self.transcript)
        self.assertRegex(last, "^HALTED: v2-does-not-start")
        self.assertEqual(self.live(), "v1")

        code, last = self.deliver("v2-broken")
        self.assertEqual(code, 1, self.transcript)
        self.assertRegex(last, "^PROHIBITED: v2-broken stays out of production, which is still blue")
        self.assertEqual(self.live(), "v1")
        # It was on staging, and its verdict is there, signed.
        verdict = self.fleet.directory / "state/out/v2-broken/verdict.json"
        self.assertEqual(self.fleet.picket("verify", verdict, "--key", "key.pub").code, 1)
        self.assertEqual(self.bluegreen("live"), "blue")

        code, last = self.deliver("v2-breaks-in-production")
        self.assertEqual(code, 1, self.transcript)
        self.assertRegex(last, r"^ROLLED BACK: production is blue \(v1\) again, and passes")
        self.assertEqual(self.live(), "v1")

        self.assertEqual(self.deliver("v3"), (0, "DEPLOYED: v3"))
        self.assertEqual(self.live(), "v3")
        self.assertEqual(self.bluegreen("live"), "green")

    def test_a_verdict_that_cannot_be_had_prohibits_the_deployment(self):
        self.assertEqual(self.deliver("v1")[0], 0)
        # No agent: nothing is decided by the deadline, and INCONCLUSIVE is not PASSED.
        for process in [p for p in self.fleet.processes if p.name.startswith("agent")]:
            process.kill()
        code, last = self.deliver("v3", {"DEADLINE": "2s"})
        self.assertEqual(code, 1, self.transcript)
        self.assertRegex(last, "^PROHIBITED: v3")
        self.assertEqual(self.live(), "v1")
        # No coordinator: there is not even a verdict.
        code, last = self.deliver("v3", {"PICKET_COORDINATOR": "127.0.0.1:1", "PICKET_CONNECT_TIMEOUT": "100ms"})
        self.assertEqual(code, 1, self.transcript)
        self.assertRegex(last, "^PROHIBITED: v3")
        self.assertEqual(self.live(), "v1")

    def test_the_verdict_on_another_release_opens_nothing(self):
        self.assertEqual(self.deliver("v1")[0], 0)
        verdict = self.fleet.directory / "state/out/v1/verdict.json"
        other = "sha256:" + "0" * 64
        self.assertEqual(self.fleet.picket("verify", verdict, "--key", "key.pub", "--subject", other).code, 4)


class Names(dict):
    """needs.build.outputs.subject, with nothing for what is not there."""

    def __getattr__(self, name):
        return self.get(name, Names())

    def __str__(self):
        return ""

    def __eq__(self, other):
        return False if self else other == ""

    def __ne__(self, other):
        return not self == other


def github_value(expression, names):
    """The few expressions that the recipe uses."""
    text = expression.replace("&&", " and ").replace("||", " or ").replace("always()", "True")
    return eval(text, {"__builtins__": {}}, names)  # the recipe's own text


def github_text(text, names):
    return re.sub(r"\$\{\{(.*?)\}\}", lambda m: str(github_value(m.group(1).strip(), names)), str(text))


class RecipeTest(PipelineCase):
    """Each CI recipe, run job by job as its system would, with a good and with bad deployments."""

    def setUp(self):
        super().setUp()
        self.start()
        self.target, _ = self.fleet.start_nginx(SITES)
        self.fleet.picket("keygen", "--out", "key", expect=0)

    def scenario(self, name, bad=None):
        """A fresh workspace; the site named `bad` is broken there."""
        self.work = self.fleet.directory / name
        (self.work / "ci").mkdir(parents=True)
        (self.work / "tests").mkdir()
        (self.work / "bin").mkdir()
        (self.work / "tests/shop.yaml").write_text(SUITE)
        (self.work / "ci/picket.pub").write_bytes((self.fleet.directory / "key.pub").read_bytes())
        (self.work / "bin/kubectl").write_text(KUBECTL)
        for script, body in TEAM.items():
            (self.work / "ci" / script).write_text(f"#!/bin/bash\nset -e\n{body}\n")
        for script in [*self.work.glob("ci/*.sh"), self.work / "bin/kubectl"]:
            script.chmod(0o755)
        site = {place: f"http://{self.target}/{'bad' if place == bad else 'good'}"
                for place in ("build", "staging", "production")}
        self.transcript += f"--- {name}\n"
        return {"BUILD_URL": site["build"], "STAGING_URL": site["staging"], "CANARY_URL": site["staging"],
                "PRODUCTION_URL": site["production"], "PICKET_COORDINATOR": self.fleet.grpc}

    def log(self):
        path = self.work / "ci.log"
        return [line for line in path.read_text().split("\n") if line and line != "serve stop"] if path.exists() else []

    def check(self, deliver):
        """deliver(env, only) runs the recipe, or one stage of it, and says whether it went through."""
        self.assertTrue(deliver(self.scenario("good")), self.transcript)
        self.assertEqual(self.log(), ["build", "deploy staging", "deploy production"], self.transcript)
        self.assertFalse(deliver(self.scenario("bad-build", "build")), self.transcript)
        self.assertEqual(self.log(), ["build"], "the build was not halted:\n" + self.transcript)
        staging = self.scenario("bad-staging", "staging")
        self.assertFalse(deliver(staging), self.transcript)
        self.assertTrue((self.work / "out/verdict.json").exists(), "the bad verdict was not signed")
        # Should somebody start the promotion by hand, the signature still prohibits it.
        self.assertFalse(deliver(staging, "promotion"), self.transcript)
        self.assertEqual(self.log(), ["build", "deploy staging"], "not prohibited:\n" + self.transcript)
        self.assertFalse(deliver(self.scenario("bad-production", "production")), self.transcript)
        self.assertEqual(self.log(), ["build", "deploy staging", "deploy production", "rollback production"],
                         self.transcript)

    def test_github_actions(self):
        recipe = yaml.safe_load((PIPELINES / "github-actions.yml").read_text())

        def deliver(overrides, only=None):
            names = Names(needs=Names(), secrets=Names(PICKET_SIGNING_KEY=(self.fleet.directory / "key").read_text()))
            if only:
                subject = (self.work / "out/subject").read_text()
                names["needs"]["build"] = Names(outputs=Names(subject=subject))
                return self.github_job(recipe, only, recipe["jobs"][only], names, overrides)
            good = {}
            for job_name, job in recipe["jobs"].items():
                needs = job.get("needs", [])
                if not all(good.get(n) for n in ([needs] if isinstance(needs, str) else needs)):
                    good[job_name] = False
                    continue
                good[job_name] = self.github_job(recipe, job_name, job, names, overrides)
            return all(good.values())

        for job in recipe["jobs"].values():
            for step in job["steps"]:
                self.assertNotIn("${{", step.get("run", ""), "expressions in scripts are injections; use env")
        self.check(deliver)

    def github_job(self, recipe, job_name, job, names, overrides):
        names["steps"] = Names()
        good = True
        for number, step in enumerate(job["steps"]):
            condition = step.get("if")
            runs = github_value(condition.strip("${} "), names) if condition else good
            outcome = Names(outcome="skipped", outputs=Names())
            if step.get("id"):
                names["steps"][step["id"]] = outcome
            if not runs or "run" not in step:
                continue
            output = self.work / f"output-{job_name}-{number}"
            env = {k: github_text(v, names) for part in (recipe, job, step) for k, v in part.get("env", {}).items()}
            env.update(overrides, GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output), CI="true",
                       GITHUB_STEP_SUMMARY=str(output) + ".md")
            code = self.shell(step["run"], env, self.work, ("bash", "-e"))
            outcome["outcome"] = "success" if code == 0 else "failure"
            if output.exists():
                outcome["outputs"] = Names(line.split("=", 1) for line in output.read_text().split("\n") if "=" in line)
            good = good and code == 0
        outputs = {k: github_text(v, names) for k, v in job.get("outputs", {}).items()}
        names["needs"][job_name] = Names(outputs=Names(outputs))
        return good

    def test_gitlab_ci(self):
        recipe = yaml.safe_load((PIPELINES / "gitlab-ci.yml").read_text())
        jobs = {name: job for name, job in recipe.items() if isinstance(job, dict) and "script" in job}
        self.assertEqual([job["stage"] for job in jobs.values()], recipe["stages"])

        def deliver(overrides, only=None):
            env = {**{k: str(v) for k, v in recipe["variables"].items()}, **overrides, "GITLAB_CI": "true",
                   "SIGNING_KEY": str(self.fleet.directory / "key")}
            for job in [jobs[only]] if only else jobs.values():
                dotenv = self.work / "out/build.env"
                if dotenv.exists():
                    env.update(line.split("=", 1) for line in dotenv.read_text().strip().split("\n"))
                if self.shell("\n".join(job["script"]), env, self.work) != 0:
                    return False
            return True

        self.check(deliver)

    def test_jenkins(self):
        text = (PIPELINES / "Jenkinsfile").read_text()
        code = re.sub(r"'''.*?'''|'[^'\n]*'|//[^\n]*", "", text, flags=re.S)
        for opening, closing in ("{}", "()", "[]"):
            self.assertEqual(code.count(opening), code.count(closing))
        variables = dict(re.findall(r"^    (\w+) = '([^']*)'$", text, re.M))
        stages = re.split(r"stage\('(\w+)'\)", text)[1:]
        self.assertEqual(stages[0::2], ["build", "staging", "promotion", "production"])
        scripts = [re.findall(r"sh '''(.*?)'''", body, re.S) for body in stages[1::2]]

        def deliver(overrides, only=None):
            env = {**variables, **overrides, "SIGNING_KEY": str(self.fleet.directory / "key")}
            chosen = [scripts[stages[0::2].index(only)]] if only else scripts
            return all(self.shell(script, env, self.work, ("sh", "-xe")) == 0 for stage in chosen for script in stage)

        self.check(deliver)

    def test_drone(self):
        recipe = yaml.safe_load((PIPELINES / "drone.yml").read_text())
        self.assertEqual([s["name"] for s in recipe["steps"]], ["build", "staging", "promotion", "production"])

        def deliver(overrides, only=None):
            for step in recipe["steps"]:
                if only and step["name"] != only:
                    continue
                env = {k: v for k, v in step.get("environment", {}).items() if isinstance(v, str)}
                env.update(overrides, SIGNING_KEY=(self.fleet.directory / "key").read_text())
                if self.shell("\n".join(step["commands"]), env, self.work, ("sh", "-e")) != 0:
                    return False
            return True

        self.check(deliver)

    def test_argo_rollouts(self):
        documents = list(yaml.safe_load_all((PIPELINES / "argo-rollouts.yaml").read_text()))
        by_kind = {(d["kind"], d["metadata"]["name"]): d for d in documents}
        work = self.fleet.directory / "argo"
        work.mkdir()
        for name, text in by_kind["ConfigMap", "shop-suite"]["data"].items():
            (work / name).write_text(text)

        def container(spec, replacements):
            self.assertEqual(spec["command"], ["picket"])
            args = [str(a) for a in spec["args"]]
            for old, new in {"/suite/": f"{work}/", "picket-coordinator.picket:7700": self.fleet.grpc,
                             **replacements}.items():
                args = [a.replace(old, new) for a in args]
            return self.fleet.picket(*args)

        # 1. The suite holds; what no key has signed halts the sync, and a signed PASSED does not.
        pod = by_kind["Job", "shop-build-verdict"]["spec"]["template"]["spec"]
        self.assertEqual(container(pod["initContainers"][0], {}).code, 0)
        self.assertEqual(container(pod["containers"][0], {}).code, 4)
        good, bad = (f"http://{self.target}/{site}" for site in ("good", "bad"))
        suite = self.fleet.write("argo-suite.yaml", SUITE)
        run_id = {}
        for site, code in ((good, 0), (bad, 1)):
            self.fleet.run(suite, "-e", f"base={site}", "--report-json", "argo.json", expect=code)
            run_id[site] = json.loads((self.fleet.directory / "argo.json").read_text())["run_id"]
        subject = pod["containers"][0]["args"][pod["containers"][0]["args"].index("--subject") + 1]
        (work / "picket.pub").write_bytes((self.fleet.directory / "key.pub").read_bytes())
        for site, code in ((good, 0), (bad, 1)):
            self.fleet.picket("attest", run_id[site], "--coordinator", self.fleet.grpc, "--subject", subject,
                              "--key", "key", "--out", work / "verdict.json", expect=0)
            self.assertEqual(container(pod["containers"][0], {}).code, code)
        # 2 to 4. The rollout asks the one template before and after promotion.
        strategy = by_kind["Rollout", "shop"]["spec"]["strategy"]["blueGreen"]
        metric = by_kind["AnalysisTemplate", "picket"]["spec"]["metrics"][0]
        job = metric["provider"]["job"]["spec"]
        self.assertEqual(job["backoffLimit"], 0)
        for analysis in (strategy["prePromotionAnalysis"], strategy["postPromotionAnalysis"]):
            self.assertEqual(analysis["templates"], [{"templateName": "picket"}])
            self.assertEqual({a["name"] for a in analysis["args"]}, {"base", "stage"})
        for site, code in ((good, 0), (bad, 1)):
            result = container(job["template"]["spec"]["containers"][0],
                               {"{{args.base}}": site, "{{args.stage}}": "staging"})
            self.assertEqual(result.code, code, result.both)
        web = by_kind["AnalysisTemplate", "picket-verdict"]["spec"]["metrics"][0]
        self.assertEqual(web["provider"]["web"]["jsonPath"], "{$.verdict}")
        for site in (good, bad):
            url = web["provider"]["web"]["url"].replace("{{args.run-id}}", run_id[site])
            status, body = http_request(url.replace("picket-coordinator.picket:7701", self.fleet.coordinator.info["http"]))
            self.assertEqual(status, 200)
            result = {"result": json.loads(body)["verdict"]}
            self.assertEqual(eval(web["successCondition"], {}, dict(result)), site == good)
            self.assertEqual(eval(web["failureCondition"], {}, dict(result)), site == bad)

    def test_flagger(self):
        documents = {d["kind"]: d for d in yaml.safe_load_all((PIPELINES / "flagger.yaml").read_text())}
        hook = documents["Canary"]["spec"]["analysis"]["webhooks"][0]
        url = hook["url"].replace("picket-coordinator.picket:7701", self.fleet.coordinator.info["http"])

        def gate(run_id):
            body = {"name": "shop", "namespace": "shop", "phase": "Progressing", "metadata": {"run_id": run_id}}
            return http_request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})[0]

        self.assertNotIn(gate(hook["metadata"]["run_id"]), (200, 201, 202))
        script = documents["ConfigMap"]["data"]["release.sh"]
        image = "registry.example.com/shop@sha256:" + "e" * 64

        def deliver(name, bad=None):
            env = {**self.scenario(name, bad), "SUITE": "tests/shop.yaml",
                   "SIGNING_KEY": str(self.fleet.directory / "key")}
            env["PATH"] = f"{self.work}/bin:{self.env['PATH']}"
            (self.work / "release.sh").write_text(script)
            (self.work / "out").mkdir()
            code = self.shell(f"bash release.sh {image}", env, self.work)
            log = "\n".join(self.log())
            runs = re.findall(r'"value":"([a-z2-7]{16})"', log)
            return code, log, runs

        code, log, runs = deliver("flagger-good")
        self.assertEqual(code, 0, self.transcript)
        self.assertEqual(gate(runs[1]), 200)
        self.assertNotIn("shop@sha256:before", log)
        self.assertEqual(self.fleet.picket("verify", self.work / "out/verdict.json", "--key", "key.pub", "--subject",
                                           "sha256:" + "e" * 64).code, 0)
        code, log, runs = deliver("flagger-build", "build")
        self.assertNotEqual(code, 0)
        self.assertEqual(log, "")
        code, log, runs = deliver("flagger-canary", "staging")
        self.assertEqual(code, 1)
        self.assertEqual(gate(runs[1]), 412)
        self.assertEqual(runs[2], hook["metadata"]["run_id"], "the gate is shut again")
        self.assertIn("set image deployment/shop shop=registry.example.com/shop@sha256:before", log)
        self.assertNotIn("wait canary/shop", log)
        code, log, runs = deliver("flagger-production", "production")
        self.assertEqual(code, 1)
        self.assertIn("wait canary/shop", log)
        self.assertIn("shop@sha256:before", log.split("wait canary/shop")[1])


class CommandsTest(unittest.TestCase):
    """Every `picket` command in the recipes and their pages has the flags it is given."""

    def help(self, *args):
        done = subprocess.run([str(BIN / "picket"), *args, "--help"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_commands_and_flags_exist(self):
        paths = [p for p in sorted(PIPELINES.rglob("*")) if p.is_file() and "releases" not in p.parts]
        commands = set(re.findall(r"^  ([a-z]+) ", self.help(), re.M))
        seen = 0
        for path in [*paths, ROOT / "docs/PIPELINES.md"]:
            text = path.read_text().replace("\\\n", " ")
            # A container's list of arguments is a command too.
            text = re.sub(r"command: \[picket\]\n\s*args:\n((?:\s*- .*\n)+)",
                          lambda m: "picket " + " ".join(re.findall(r"- (.*)", m.group(1))) + "\n", text)
            for command, rest in re.findall(r"(?<![\w/.:-])picket ([a-z]+)((?: [^\n`]*)?)", text):
                if not re.search(r" (--?[a-z]|\S*\.yaml|\"?\$)", rest):
                    continue  # prose
                self.assertIn(command, commands, f"{path}: picket {command}{rest}")
                usage = self.help(command)
                for flag in re.findall(r"(?<= )(--[a-z][a-z-]*|-[a-z])(?=[ =]|$)", re.split(r"[|;&]", rest)[0]):
                    self.assertRegex(usage, rf"(?<![\w-]){flag}(?![\w-])", f"{path}: picket {command}{rest}")
                    seen += 1
        self.assertGreater(seen, 60)


if __name__ == "__main__":
    main()
