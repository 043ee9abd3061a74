#!/usr/bin/env python3
"""The house rules, as tests. Each function below is one rule; it returns complaints.

    tests/tidy/tidy.py RULE [--build DIR]     run one rule (ctest runs each apart)
    tests/tidy/tidy.py --list                 print the rules
"""

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("common", "coordinator", "agent", "cli", "proto")

# Floors of the house: a room includes only rooms on lower floors, or itself.
FLOORS = {
    "common/base": 0,
    "proto": 1,
    "common/policy": 2,
    "common/expr": 3,
    "common/suite_file": 4,
    "common/telemetry": 4,
    "common/config": 4,
    "common/signing": 4,
    "common/report": 4,
    "common/rpc": 4,
    "coordinator/core": 5,
    "agent/engine": 5,
    "coordinator/store": 6,
    "coordinator/app": 7,
    "coordinator/notify": 7,
    "agent/session": 7,
    "coordinator/rpc": 8,
    "coordinator/gateway": 8,
    "cli": 9,
}
MAIN_FLOOR = 10

# Which files may include a library's headers.
FENCES = [
    (r"grpcpp/|grpc/|\.grpc\.pb\.h",
     r"(common|coordinator)/rpc/|agent/session/\w*_session\.(h|cc)|cli/(run_client|local_fleet)\w*\.(h|cc)|(agent|coordinator|cli)/main\.cc"),
    (r"curl/", r"agent/engine/|coordinator/notify/"),
    (r"ares\.h|ares_", r"agent/engine/"),
    (r"libxml/", r"agent/engine/"),
    (r"sqlite3\.h|libpq-fe\.h|libpq/", r"coordinator/store/"),
    (r"yaml-cpp/", r"common/(suite_file|config)/"),
    (r"civetweb\.h|CivetServer\.h", r"common/telemetry/|coordinator/gateway/"),
    (r"openssl/|sodium\.h|sodium/", r"common/(rpc|signing)/|agent/engine/"),
    (r"re2/", r"common/policy/|agent/engine/"),
    (r"prometheus/", r"common/telemetry/"),
    (r"spdlog/", r"common/base/"),
    (r"CLI/", r"common/config/|cli/"),
]


def tracked(*suffixes, under=()):
    out = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=True).stdout.split("\n")
    files = [f for f in out if f and (ROOT / f).is_file()]
    if suffixes:
        files = [f for f in files if f.endswith(suffixes)]
    if under:
        files = [f for f in files if f.startswith(tuple(u + "/" for u in under))]
    return files


def text(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def includes(path):
    for number, line in enumerate(text(path).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def room_of(path):
    best = None
    for room in FLOORS:
        if path.startswith(room + "/") and (best is None or len(room) > len(best)):
            best = room
    return best


def rule_dependencies():
    """A room includes only rooms below it; coordinator, agent and cli never one another."""
    for path in tracked(".h", ".cc", under=ROOMS):
        room = room_of(path)
        floor = MAIN_FLOOR if path.endswith("/main.cc") else FLOORS.get(room)
        if floor is None:
            yield f"{path}: this folder is no room of the house; add it to FLOORS or move the file"
            continue
        top = path.split("/")[0]
        for number, name in includes(path):
            if name.startswith("tests/"):
                yield f"{path}:{number}: includes {name}: product code does not know its tests"
            if name.startswith("picket/v1/"):
                target, target_floor = "proto", FLOORS["proto"]
            else:
                target = room_of(name)
                if target is None:
                    continue
                target_floor = FLOORS[target]
            if target != room and target_floor >= floor:
                yield (f"{path}:{number}: {room} (floor {floor}) includes {name} of {target} "
                       f"(floor {target_floor}): dependencies run downwards only")
            target_top = target.split("/")[0]
            apart = {"coordinator", "agent", "cli"}
            if top in apart and target_top in apart and top != target_top:
                if not re.match(r"cli/local_fleet\w*\.(h|cc)$", path):
                    yield f"{path}:{number}: {top} includes {name}: only cli/local_fleet may"


def rule_fences():
    """A library's headers stay behind the room that owns it."""
    for path in tracked(".h", ".cc", under=ROOMS):
        for number, name in includes(path):
            for pattern, allowed in FENCES:
                if re.match(pattern, name) or (pattern.startswith("grpcpp") and name.endswith(".grpc.pb.h")):
                    if not re.match(allowed, path):
                        yield f"{path}:{number}: includes {name}, which belongs in {allowed}"


def rule_purity():
    """The pure rooms read no clock, draw no chance, lock nothing and log nothing."""
    banned = re.compile(
        r"absl::Now\(|Clock::Real|system_clock|steady_clock|random_device|std::rand\b|FromSystem\(|"
        r"\bMutex\b|std::mutex|\bLog\(|std::thread|clock_gettime|gettimeofday|\btime\(nullptr\)")
    pure = tracked(".h", ".cc", under=("coordinator/core", "common/policy", "common/expr", "common/report"))
    pure += [p for p in tracked(".h", ".cc", under=("agent/session",)) if "session_state" in p]
    for path in pure:
        for number, line in enumerate(text(path).split("\n"), 1):
            code = line.split("//")[0]
            if banned.search(code):
                yield f"{path}:{number}: not in a pure room: {line.strip()}"


def rule_time_and_chance():
    """Only common/base asks the machine for time or chance."""
    banned = re.compile(r"absl::Now\(|absl::BitGen|std::random_device|std::mt19937|std::rand\(|\bsrand\(|"
                        r"sleep_for|absl::SleepFor|\busleep\(")
    for path in tracked(".h", ".cc", under=("common", "coordinator", "agent", "cli")):
        if path.startswith("common/base/") or path.endswith("/main.cc"):
            continue
        for number, line in enumerate(text(path).split("\n"), 1):
            if banned.search(line.split("//")[0]):
                yield f"{path}:{number}: time and chance come in through the door: {line.strip()}"


def rule_sleeps():
    """No test sleeps to synchronise."""
    banned = re.compile(r"sleep_for|SleepFor|usleep\(|time\.sleep\(|sleep_until")
    for path in tracked(".cc", ".h", ".py", under=("tests",)):
        if path == "tests/tidy/tidy.py":
            continue
        for number, line in enumerate(text(path).split("\n"), 1):
            if banned.search(line):
                yield f"{path}:{number}: wait for the event instead: {line.strip()}"


def rule_unfinished():
    """No words of unfinished work, no paths of one machine."""
    words = re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b|not (yet )?implemented|kUnimplemented\b", re.I)
    places = re.compile("/" + r"work/|/" + r"farm/|/home/\w+/|/" + "tmp/bash_jobs")
    for path in tracked(".h", ".cc", ".proto", ".py", ".sh", ".md", ".yaml", ".yml", ".txt", ".cmake", ".json"):
        if path == "tests/tidy/tidy.py":
            continue
        if "/corpus/" in path:
            continue
        for number, line in enumerate(text(path).split("\n"), 1):
            if words.search(line) and "kUnimplemented:" not in line and "kUnimplemented)" not in line:
                yield f"{path}:{number}: unfinished work: {line.strip()[:100]}"
            if places.search(line):
                yield f"{path}:{number}: a path of one machine: {line.strip()[:100]}"


def rule_guards():
    """Include guards follow the path; headers open with their promise."""
    for path in tracked(".h", under=ROOMS + ("tests",)):
        guard = re.sub(r"[^A-Za-z0-9]", "_", path).upper() + "_"
        body = text(path)
        if f"#ifndef {guard}\n#define {guard}\n" not in body:
            yield f"{path}: the include guard is {guard}"
        if not body.startswith("// "):
            yield f"{path}: a header opens with what it is for"


def rule_length():
    """One file holds one idea: about 400 lines, 450 at most."""
    for path in tracked(".h", ".cc", ".proto", ".py", ".sh", under=ROOMS + ("tests", "deploy")):
        lines = text(path).count("\n")
        if lines > 450 and not path.endswith("suite.proto"):
            yield f"{path}: {lines} lines; 450 at most"


def rule_own_header_first():
    """foo.cc includes foo.h first, which proves that foo.h compiles alone."""
    for path in tracked(".cc", under=("common", "coordinator", "agent", "cli")):
        header = path[:-3] + ".h"
        if (ROOT / header).is_file():
            first = next((name for _, name in includes(path)), None)
            if first != header:
                yield f"{path}: the first include is {first}, not {header}"


def rule_headers_alone(build):
    """A header without a .cc of its own compiles alone."""
    commands = json.loads((Path(build) / "compile_commands.json").read_text())
    by_room = {}
    for entry in commands:
        path = os.path.relpath(entry["file"], ROOT)
        by_room.setdefault(os.path.dirname(path), entry)
    lone = [h for h in tracked(".h", under=ROOMS) if not (ROOT / (h[:-2] + ".cc")).is_file()]

    def compile_alone(header):
        entry = by_room.get(os.path.dirname(header))
        if entry is None:
            return None
        words, command = entry["command"].split(), []
        for i, word in enumerate(words):
            if word == "-isystem":
                command += [word, words[i + 1]]
            elif word.startswith(("-I", "-D", "-std")):
                command.append(word)
        done = subprocess.run(["g++", "-fsyntax-only", "-x", "c++"] + command + [str(ROOT / header)],
                              capture_output=True, text=True, cwd=entry["directory"])
        errors = [l for l in done.stderr.split("\n") if "error:" in l]
        return f"{header}: does not compile alone: {errors[:1]}" if done.returncode else None

    with ThreadPoolExecutor(2) as pool:
        yield from filter(None, pool.map(compile_alone, lone))


def rule_tests_registered(build):
    """Every test file is compiled into some test program."""
    commands = {os.path.relpath(e["file"], ROOT)
                for e in json.loads((Path(build) / "compile_commands.json").read_text())}
    for path in tracked("_test.cc", under=("tests",)):
        if path not in commands:
            yield f"{path}: no test program takes it"


def rule_markdown_links():
    """Relative links in Markdown lead somewhere."""
    for path in tracked(".md"):
        for match in re.finditer(r"\]\(([^)#\s]+)(#[^)]*)?\)", text(path)):
            target = match.group(1)
            if re.match(r"[a-z]+:", target):
                continue
            if not (ROOT / path).parent.joinpath(target).exists():
                yield f"{path}: links to {target}, which is not there"


RULES = {name[5:]: value for name, value in list(globals().items()) if name.startswith("rule_")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rule", nargs="?", choices=sorted(RULES))
    parser.add_argument("--build")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list or not args.rule:
        for name, rule in RULES.items():
            print(f"{name:20} {rule.__doc__}")
        return 0
    rule = RULES[args.rule]
    needs_build = rule.__code__.co_argcount == 1
    complaints = list(rule(args.build) if needs_build else rule())
    for complaint in complaints:
        print(complaint)
    print(f"{args.rule}: {len(complaints)} complaint(s)")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
