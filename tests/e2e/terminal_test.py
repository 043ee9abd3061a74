"""What people and CI systems see of a run: a terminal, GitHub, GitLab, and the labels of a dozen systems."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from fleet import BIN, FleetCase, main, wait_until

SUITE = """
version: 1
name: shop
locations: [{1}]
vars: {{ base: "http://{0}" }}
tests:
  - name: answers
    for_each: {{ rows: [ {2} ] }}
    request: {{ url: "{{{{ base }}}}/{3}?{{{{ n }}}}" }}
    expect: [ {{ status: {4} }} ]
"""

# One byte a second: nginx's way to hang.
SLOW_LOCATION = 'location /slow { limit_rate 1; default_type text/plain; return 200 "%s"; }' % ("x" * 600)


class Terminal:
    """picket on a terminal of 60 columns and 12 lines."""

    def __init__(self, command, directory):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
        env = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}

        def own_the_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.popen = subprocess.Popen([str(c) for c in command], stdin=slave, stdout=slave, stderr=slave,
                                      cwd=directory, env={**env, "TERM": "xterm"}, preexec_fn=own_the_terminal)
        os.close(slave)
        self.text = ""

    def read_until(self, pattern, timeout=30):
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.text):
            self.read(deadline, pattern)

    def read(self, deadline, what):
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"the terminal never showed {what}:\n{self.text!r}")
        data = os.read(self.master, 65536)
        self.text += data.decode(errors="replace")
        return data

    def end(self, timeout=30):
        deadline = time.monotonic() + timeout
        try:
            while self.read(deadline, "its end"):
                pass
        except OSError:
            pass  # nobody holds the other side any more
        os.close(self.master)
        return self.popen.wait(timeout)


class TerminalTest(FleetCase):
    def setUp(self):
        super().setUp()
        self.target, _ = self.fleet.start_nginx(SLOW_LOCATION)
        self.fleet.start_coordinator()

    def suite(self, path="", status=200, rows=1, locations=("default",)):
        for location in locations:
            self.fleet.start_agent(location)
        return self.fleet.write("suite.yaml", SUITE.format(
            self.target, ", ".join(locations), ", ".join(f"{{ n: {i} }}" for i in range(rows)), path, status))

    def terminal(self, suite):
        return Terminal([BIN / "picket", "run", suite, "--coordinator", self.fleet.grpc], self.fleet.directory)

    def test_progress_is_drawn_over_itself_and_the_cursor_comes_back(self):
        terminal = self.terminal(self.suite(rows=300, locations=("eu-west", "us-east")))
        self.assertEqual(terminal.end(), 0, terminal.text)
        self.assertIn("\x1b[?25l", terminal.text)
        self.assertGreater(terminal.text.rfind("\x1b[?25h"), terminal.text.rfind("\x1b[?25l"))
        self.assertRegex(terminal.text, r"eu-west +\[[#-]+\] +\d+/300")
        self.assertRegex(terminal.text, r"\x1b\[2A\r\x1b\[J", "two lines, drawn again")
        progress = [line for line in re.split(r"\r?\n", terminal.text) if "] " in line and "/300" in line]
        for line in progress:
            self.assertLessEqual(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", line)), 60, line)
        self.assertIn("PASSED", terminal.text.strip().split("\n")[-1])

    def test_failures_stay_above_the_progress(self):
        terminal = self.terminal(self.suite(status=204, rows=2))
        self.assertEqual(terminal.end(), 1, terminal.text)
        self.assertIn("FAILED", terminal.text)
        self.assertIn("status is 204, but it was 200", terminal.text)

    def test_ctrl_c_cancels_the_run_and_gives_the_terminal_back(self):
        terminal = self.terminal(self.suite(path="slow"))
        terminal.read_until(r"1 agent")
        wait_until(lambda: [r for r in json.loads(self.fleet.http("/v1/runs")[1])["runs"]
                            if r["state"] == "RUNNING"], "a running run")
        os.write(terminal.master, b"\x03")
        self.assertEqual(terminal.end(), 130, terminal.text)
        self.assertGreater(terminal.text.rfind("\x1b[?25h"), terminal.text.rfind("\x1b[?25l"))
        self.assertIn("has been cancelled", terminal.text)

    def test_a_terminal_that_goes_away_does_not_leave_the_run_behind(self):
        terminal = self.terminal(self.suite(path="slow"))
        terminal.read_until(r"1 agent")
        os.kill(terminal.popen.pid, signal.SIGTERM)
        self.assertEqual(terminal.end(), 143, terminal.text)
        runs = json.loads(self.fleet.http("/v1/runs")[1])["runs"]
        self.assertEqual([r["end_cause"] for r in runs], ["CANCELLED"])

    def test_github_gets_ten_annotations_a_summary_and_outputs(self):
        files = {name: self.fleet.directory / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        env = {"CI": "true", "GITHUB_ACTIONS": "true", **{name: str(path) for name, path in files.items()}}
        result = self.fleet.run(self.suite(status=204, rows=13), env=env, expect=1)
        annotations = [line for line in result.out.split("\n") if line.startswith("::")]
        self.assertEqual(len(annotations), 10, result.out)
        for line in annotations:
            self.assertRegex(line, r"^::error title=answers \[default\] row \d+::FAILED assertion%3A |"
                                   r"^::error title=answers \[default\] row \d+::FAILED assertion: ")
        self.assertIn("## FAILED: shop", files["GITHUB_STEP_SUMMARY"].read_text())
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().split())
        self.assertEqual((outputs["verdict"], outputs["planned"], outputs["failed"]), ("FAILED", "13", "13"))

    def test_gitlab_gets_a_section_that_closes(self):
        result = self.fleet.run(self.suite(status=204), env={"CI": "true", "GITLAB_CI": "true"}, expect=1)
        self.assertRegex(result.out, r"\x1b\[0Ksection_start:\d+:picket_failures\r\x1b\[0K")
        self.assertRegex(result.out, r"\x1b\[0Ksection_end:\d+:picket_failures\r\x1b\[0K")
        self.assertTrue(result.out.strip().split("\n")[-1].startswith("FAILED"), result.out)

    def test_where_a_run_came_from_is_kept_with_it(self):
        systems = {
            "github": {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "c0ffee", "GITHUB_REF": "refs/heads/main"},
            "gitlab": {"GITLAB_CI": "true", "CI_COMMIT_SHA": "c0ffee", "CI_COMMIT_BRANCH": "main"},
            "jenkins": {"JENKINS_URL": "http://j/", "GIT_COMMIT": "c0ffee", "GIT_BRANCH": "origin/main"},
            "buildkite": {"BUILDKITE": "true", "BUILDKITE_COMMIT": "c0ffee", "BUILDKITE_BRANCH": "main"},
            "circleci": {"CIRCLECI": "true", "CIRCLE_SHA1": "c0ffee", "CIRCLE_BRANCH": "main"},
            "azure": {"TF_BUILD": "True", "BUILD_SOURCEVERSION": "c0ffee", "BUILD_SOURCEBRANCH": "refs/heads/main"},
            "bitbucket": {"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_COMMIT": "c0ffee", "BITBUCKET_BRANCH": "main"},
            "travis": {"TRAVIS": "true", "TRAVIS_COMMIT": "c0ffee", "TRAVIS_BRANCH": "main"},
            "appveyor": {"APPVEYOR": "True", "APPVEYOR_REPO_COMMIT": "c0ffee", "APPVEYOR_REPO_BRANCH": "main"},
            "drone": {"DRONE": "true", "DRONE_COMMIT_SHA": "c0ffee", "DRONE_BRANCH": "main"},
            "gitea": {"GITEA_ACTIONS": "true", "GITHUB_ACTIONS": "true", "GITHUB_SHA": "c0ffee",
                      "GITHUB_REF": "refs/heads/main"},
            "woodpecker": {"CI": "woodpecker", "CI_COMMIT_SHA": "c0ffee", "CI_COMMIT_BRANCH": "main"},
        }
        suite = self.suite()
        for provider, env in systems.items():
            with self.subTest(provider):
                self.fleet.run(suite, env=env, expect=0)
                labels = json.loads(self.fleet.http("/v1/runs")[1])["runs"][0]["labels"]
                self.assertEqual((labels["ci.provider"], labels["ci.commit"], labels["ci.branch"]),
                                 (provider, "c0ffee", "main"))
        teamcity = {"TEAMCITY_VERSION": "2024", "BUILD_VCS_NUMBER": "c0ffee"}
        self.fleet.run(suite, env=teamcity, expect=0)
        pipeline = {"CODEBUILD_BUILD_ID": "b:1", "CODEBUILD_INITIATOR": "codepipeline/deploy",
                    "CODEBUILD_RESOLVED_SOURCE_VERSION": "c0ffee"}
        self.fleet.run(suite, env=pipeline, expect=0)
        runs = json.loads(self.fleet.http("/v1/runs")[1])["runs"]
        self.assertEqual([run["labels"]["ci.provider"] for run in runs[:2]], ["codepipeline", "teamcity"])


if __name__ == "__main__":
    main()
