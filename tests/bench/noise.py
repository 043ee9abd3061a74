"""The regression row of bench.py: quiet noise of three targets, recorded, and what a gate makes of it."""

import subprocess

from fleet import BIN


def lines(fleet, quick):
    """Arguments of figure(), two lines a target, for a gate of 20 % over 10 runs."""
    # Quiet is what nothing disturbs: both go before everything else that may run here.
    first = ["chrt", "-f", "20"] if subprocess.run(["chrt", "-f", "20", "true"], check=False).returncode == 0 else []
    server = subprocess.Popen([*first, BIN / "truth_server", "0"], stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().split()[1]
        for name, delay in (("loopback", "0"), ("5 ms", "5"), ("50 ms", "50")):
            recording = fleet.directory / "noise.txt"
            with open(recording, "w") as out:
                subprocess.run([*first, BIN / "regression_noise", "record", "--url", f"http://127.0.0.1:{port}/{delay}",
                                "--series", "25", "--runs", "15" if quick else "50"], stdout=out, check=True)
            words = subprocess.run([BIN / "regression_noise", "judge", recording], capture_output=True, text=True,
                                   check=True).stdout.split()
            found = dict(zip(words[::2], map(int, words[1::2])))
            compared, alarms, caught = found["comparisons"], found["false_alarms"], found["caught_percent"]
            yield ("regression-false", alarms, f"of {compared} quiet", f"{name}, {found['measurements']} requests",
                   alarms / compared, "<= 1 %", alarms <= 0.01 * compared)
            yield ("regression-caught", caught, "% slower, 9 of 10",
                   f"{name}, {found['median_us'] * caught / 100_000:.2f} ms slower", None, "(20 %, and 1 ms)", None)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
