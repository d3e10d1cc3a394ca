"""The driver's side of test/vm/guest/shell: one command at a time over a pair of descriptors, whatever they are."""

import base64
import os
import select
import time
from typing import Callable, Tuple

CHUNK = 65_536
LOOK = 1.0
"""Seconds between two looks at whether the machine is still there."""


class DoorError(Exception):
    """Nobody answers any more, or not in time."""


class Door:
    def __init__(self, reading: int, writing: int, alive: Callable[[], bool]) -> None:
        """Takes both descriptors over; they may be one and the same. `alive`: whether there is still somebody to answer."""
        self._alive = alive
        self._reading = reading
        self._writing = writing
        self._kept = b""

    def greeting(self, timeout: float) -> None:
        """Waits until the guest's shell says that it is there."""
        if self._line(timeout) != "ready":
            raise DoorError("what is behind the door is no shell")

    def run(self, command: str, timeout: float) -> Tuple[int, str]:
        """Exit code and stdout."""
        self.send(command)
        code, _, text = self._line(timeout).partition(" ")
        return int(code), base64.b64decode(text).decode(errors="replace")

    def send(self, command: str) -> None:
        line = base64.b64encode(command.encode()) + b"\n"
        while line:
            line = line[os.write(self._writing, line) :]

    def close(self) -> None:
        for descriptor in {self._reading, self._writing}:
            os.close(descriptor)

    def _line(self, timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._kept:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DoorError(f"no answer in {timeout:.0f} s")
            if select.select([self._reading], [], [], min(left, LOOK))[0]:
                chunk = os.read(self._reading, CHUNK)
                self._kept += chunk
            elif self._alive():
                continue
            else:
                chunk = b""
            if not chunk:
                raise DoorError("the machine went away")
        line, _, self._kept = self._kept.partition(b"\n")
        return line.decode().strip()
