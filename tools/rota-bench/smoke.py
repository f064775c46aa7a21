# SPDX-License-Identifier: MIT
"""Runs rota-bench with tiny counts: does every bench work, and is its JSON well-formed?"""

import json
import subprocess
import sys

BENCHES = ["spawn", "switch", "sleep", "wake", "skynet", "mutex", "channel", "select", "group",
           "cancel", "idle-tasks"]
# One figure for each kind of work of the benches that have several, on two loops.
TWO_LOOPS = {
    "mutex": ["contended", "many", "held"],
    "channel": ["stream", "many", "across", "across_stream", "free", "free_many"],
    "select": ["eight", "deadline", "until", "buffered", "across", "free_eight"],
    "group": ["many", "owner", "owner_many"],
    "cancel": ["plain", "sleeping", "waiting_life", "spread_waiting"],
}
IDLE_MEMBERS = ["tasks", "seconds", "touch_seconds", "bytes_per_task"]


def run(*arguments):
    command = [sys.argv[1], *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=100)
    assert done.returncode == 0, f"{command}: status {done.returncode}"
    return done.stdout


def check(result, bench):
    assert result["bench"] == bench, result
    assert result["loops"] >= 1, result
    assert result["ns_per_op"] > 0, result
    low, high = result["spread"]["ns_per_op"]
    assert low <= result["ns_per_op"] <= high, result


results = json.loads(run("--repeat", "1", "--tasks", "1000", "--json"))
assert [result["bench"] for result in results] == BENCHES, results
for name, result in zip(BENCHES, results):
    check(result, name)
    for kind in TWO_LOOPS.get(name, []):
        assert result[f"two_loops_{kind}_ns_per_op"] > 0, (kind, result)
for member in IDLE_MEMBERS:
    assert member in results[-1], member

one = run("spawn", "--loops", "2", "--repeat", "2", "--tasks", "1000", "--json")
check(json.loads(one), "spawn")
assert "ns_per_op" in run("switch", "--repeat", "1", "--tasks", "1000")
assert run("--list").startswith("spawn")
assert subprocess.run([sys.argv[1], "no-such"], stderr=subprocess.DEVNULL).returncode == 2
