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

import cgroup  # noqa: E402
import private  # noqa: E402
from container import ContainerMachine  # noqa: E402
from emulated import EmulatedMachine  # noqa: E402
from switch import Switch  # noqa: E402

MOST_EVIDENCE = 12_000
UNFIT = 3
"""Exit code when this machine cannot do it at all."""


class Tally:
    passed = 0
    failed = 0
    not_run = 0

    def __str__(self) -> str:
        left_out = f", {self.not_run} not run" if self.not_run > 0 else ""
        return f"test:vm: {self.passed} passed, {self.failed} failed{left_out}"


def say(line: str) -> None:
    print(line, flush=True)


def run(test: Dict[str, Any], given: Dict[str, Any], folder: str, tally: Tally) -> None:
    """One test: its machines, its script, and the end of both."""
    names = [spec["name"] for spec in test["machines"]]
    emulated = given["driver"] == "qemu"
    switch = Switch(folder, names) if emulated else None
    kind = EmulatedMachine if emulated else ContainerMachine
    machines = [kind(spec, given, folder, index + 1, lambda line: say(f"          {line}")) for index, spec in enumerate(test["machines"])]
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

    def not_run(name: str, why: str) -> None:
        tally.not_run += 1
        say(f"NOT RUN           {test['name']}: {name}: {why}")

    names_of_script: Dict[str, Any] = {
        **{machine.name: machine for machine in machines},
        "machines": machines,
        "start_all": start_all,
        "subtest": subtest,
        "t": unittest.TestCase(),
    }
    if len(machines) == 1:
        names_of_script["machine"] = machines[0]
    # A script leaves out what this kernel cannot show. A machine with a kernel of its own can show everything, and has no such word.
    if not emulated and not {"memory", "cpu", "pids"} <= set(cgroup.controllers(given["group"])):
        names_of_script["not_run"] = not_run
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
            machine.discard()
        if switch is not None:
            switch.close()


def run_all(given: Dict[str, Any], folder: str) -> int:
    tally = Tally()
    for test in given["tests"]:
        began = time.monotonic()
        # Paths of unix sockets are short; a folder of the system's is too.
        scene = os.path.join(folder, test["name"])
        os.mkdir(scene)
        run(test, given, scene, tally)
        shutil.rmtree(scene, ignore_errors=True)
        say(f"          {test['name']}: {time.monotonic() - began:.0f} s")
    say(str(tally))
    return 1 if tally.failed > 0 or tally.passed == 0 else 0


def main(path: str, *inside: str) -> int:
    with open(path, encoding="utf-8") as file:
        given = json.load(file)

    def leave(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    if given["driver"] == "qemu":
        with tempfile.TemporaryDirectory(prefix="cim-vm-") as folder:
            return run_all(given, folder)
    if inside:
        given["group"] = private.furnish(inside[0], given["ip"])
        return run_all(given, inside[0])
    try:
        return private.run_inside(os.path.abspath(__file__), path, given["ip"])
    except private.Unfit as unfit:
        say(f"NOT RUN           all tests: {unfit}")
        say(f"{Tally()}, all not run")
        return UNFIT


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
