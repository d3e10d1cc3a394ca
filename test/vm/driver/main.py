"""Runs test scripts of the NixOS test driver against Debian machines: python3 main.py SPEC.json. scripts/vm.mjs writes the SPEC."""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unittest
from typing import Any, Dict, Iterator, List

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from machine import Machine  # noqa: E402
from switch import Switch  # noqa: E402

MOST_EVIDENCE = 12_000


class Tally:
    passed = 0
    failed = 0


def say(line: str) -> None:
    print(line, flush=True)


def run(test: Dict[str, Any], given: Dict[str, Any], tally: Tally) -> None:
    """One test: its machines, its script, and the end of both."""
    # Paths of unix sockets are short; a folder of the system's is too.
    folder = tempfile.mkdtemp(prefix="cim-vm-")
    names = [spec["name"] for spec in test["machines"]]
    switch = Switch(folder, names)
    machines = [Machine(spec, given, folder, index + 1, lambda line: say(f"          {line}")) for index, spec in enumerate(test["machines"])]
    within: List[str] = []

    @contextlib.contextmanager
    def subtest(name: str) -> Iterator[None]:
        began = time.monotonic()
        within.append(name)
        yield
        within.pop()
        tally.passed += 1
        say(f"  ok  {time.monotonic() - began:6.1f} s  {test['name']}: {name}")

    def start_all() -> None:
        for machine in machines:
            machine.start()

    names_of_script: Dict[str, Any] = {
        **{machine.name: machine for machine in machines},
        "machines": machines,
        "start_all": start_all,
        "subtest": subtest,
        "t": unittest.TestCase(),
    }
    if len(machines) == 1:
        names_of_script["machine"] = machines[0]
    try:
        with open(test["script"], encoding="utf-8") as file:
            code = compile(file.read(), test["script"], "exec")
        exec(code, names_of_script)
    except Exception as error:  # A script may throw whatever it likes.
        tally.failed += 1
        at = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == test["script"]]
        line = f" (line {at[-1].lineno})" if at else ""
        say(f"FAILED            {test['name']}: {within[-1] if within else 'outside a subtest'}{line}: {error}")
        for machine in machines:
            evidence = machine.evidence()
            path = os.path.join(given["logs"], f"{test['name']}-{machine.name}.log")
            with open(path, "w", encoding="utf-8") as file:
                file.write(evidence)
            say(f"---- {machine.name} ({path})\n{evidence[-MOST_EVIDENCE:]}")
    finally:
        for machine in machines:
            machine.crash()
        switch.close()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)

    def leave(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    tally = Tally()
    for test in spec["tests"]:
        began = time.monotonic()
        run(test, spec, tally)
        say(f"          {test['name']}: {time.monotonic() - began:.0f} s")
    say(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed > 0 or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
