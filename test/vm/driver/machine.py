"""A machine under test, whatever it is made of. Names and meanings of the methods are those of the NixOS test driver, so that its scripts run
here as they are."""

import shlex
import subprocess
import time
from typing import Callable, Dict, Optional, Tuple

from door import Door, DoorError

ANSWER = 60.0


class MachineError(Exception):
    """A command or a wait that did not end as the script wants it."""


class Machine:
    """What is said here holds for every kind; a kind says how to be switched on and off and how its cable is pulled."""

    POLL = 0.5
    """Seconds between two looks at a condition."""
    PATIENCE = 120
    """Seconds a command or a wait may take when the script does not say."""
    BOOT = 60.0
    """Seconds a machine may take to boot; ten times what a quiet one takes."""

    def __init__(self, name: str, log: Callable[[str], None]) -> None:
        self.name = name
        self._say = log
        self._door: Optional[Door] = None
        self._began = 0.0
        self._process: Optional["subprocess.Popen[bytes]"] = None
        """What the machine runs in, from `_switch_on` to `_switch_off`."""

    # Life: said by each kind

    def _switch_on(self) -> None:
        raise NotImplementedError

    def _switch_off(self) -> None:
        """At once, and nothing of it is left but its disk. Of a machine that is off: nothing."""
        raise NotImplementedError

    def _open_door(self, deadline: float) -> Door:
        raise NotImplementedError

    def _console(self) -> str:
        """The end of what it said before it had a journal."""
        raise NotImplementedError

    def block(self) -> None:
        """Pulls the network cable."""
        raise NotImplementedError

    def unblock(self) -> None:
        raise NotImplementedError

    # Life

    @property
    def booted(self) -> bool:
        return self._process is not None

    def _wait_until_off(self, timeout: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def start(self, allow_reboot: bool = False) -> None:
        del allow_reboot
        if not self.booted:
            self._began = time.monotonic()
            self._switch_on()

    def wait_for_boot(self) -> None:
        """Starts the machine when it is off, and waits for its shell."""
        if self._door is not None:
            return
        self.start()
        try:
            self._door = self._open_door(self._began + self.BOOT)
            self._door.greeting(max(1.0, self._began + self.BOOT - time.monotonic()))
        except (DoorError, OSError) as error:
            raise MachineError(f"{self.name}: did not boot, after {time.monotonic() - self._began:.0f} s: {error}\n{self._console()}") from None
        self.log(f"booted in {time.monotonic() - self._began:.1f} s")

    def crash(self) -> None:
        """A power cut."""
        self._shut_door()
        self._switch_off()

    def discard(self) -> None:
        """Off, and its disk too."""
        self.crash()

    def shutdown(self) -> None:
        if not self.booted:
            return
        self.wait_for_boot()
        assert self._door is not None
        self._door.send("systemctl poweroff --no-block")
        self.wait_for_shutdown()

    def wait_for_shutdown(self) -> None:
        if self.booted and not self._wait_until_off(self.PATIENCE):
            raise MachineError(f"{self.name}: did not shut down in {self.PATIENCE} s")
        self.crash()

    # Commands

    def execute(self, command: str, check_return: bool = True, check_output: bool = True, timeout: Optional[int] = None) -> Tuple[int, str]:
        """Exit code and stdout. The command is ended when it takes longer than `timeout` seconds (code 124)."""
        del check_return, check_output
        self.wait_for_boot()
        assert self._door is not None
        limit = self.PATIENCE if timeout is None else timeout
        try:
            return self._door.run(f"timeout -k 5 {limit} bash -euo pipefail -c {shlex.quote(command)}", limit + ANSWER)
        except (DoorError, OSError) as error:
            raise MachineError(f"{self.name}: {error}, during: {command}") from None

    def succeed(self, *commands: str, timeout: Optional[int] = None) -> str:
        output = ""
        for command in commands:
            code, text = self.execute(command, timeout=timeout)
            if code != 0:
                raise MachineError(f"{self.name}: command failed (exit code {code}): {command}\n{text}".rstrip())
            output += text
        return output

    def fail(self, *commands: str, timeout: Optional[int] = None) -> str:
        output = ""
        for command in commands:
            code, text = self.execute(command, timeout=timeout)
            if code == 0:
                raise MachineError(f"{self.name}: command succeeded and should not have: {command}\n{text}".rstrip())
            output += text
        return output

    def wait_until_succeeds(self, command: str, timeout: Optional[int] = None) -> str:
        return self._until(command, timeout, lambda code: code == 0)

    def wait_until_fails(self, command: str, timeout: Optional[int] = None) -> str:
        return self._until(command, timeout, lambda code: code != 0)

    # Units, ports, files

    def systemctl(self, query: str, user: Optional[str] = None) -> Tuple[int, str]:
        del user
        return self.execute(f"systemctl {query}")

    def get_unit_property(self, unit: str, property: str, user: Optional[str] = None) -> str:
        del user
        return self.succeed(f"systemctl show --property={shlex.quote(property)} --value -- {shlex.quote(unit)}").strip()

    def get_unit_info(self, unit: str, user: Optional[str] = None) -> Dict[str, str]:
        del user
        lines = self.succeed(f"systemctl --no-pager show -- {shlex.quote(unit)}").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def require_unit_state(self, unit: str, require_state: str = "active") -> None:
        state = self.get_unit_property(unit, "ActiveState")
        if state != require_state:
            raise MachineError(f"{self.name}: {unit} is {state}, expected {require_state}")

    def wait_for_unit(self, unit: str, user: Optional[str] = None, timeout: Optional[int] = None) -> None:
        """A unit that failed, or that nothing will start any more, ends the wait at once."""
        del user
        timeout = self.PATIENCE if timeout is None else timeout
        deadline = time.monotonic() + timeout
        while True:
            told = self.succeed(f"systemctl show --property=ActiveState,Job,LoadState -- {shlex.quote(unit)}; systemctl is-system-running || true")
            state = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
            active = state.get("ActiveState")
            if active == "active":
                return
            if active == "failed":
                raise MachineError(f"{self.name}: {unit} failed\n{self._journal(unit)}")
            idle = active == "inactive" and not state.get("Job", "").strip("0")
            if idle and told.splitlines()[-1] in ("running", "degraded"):
                raise MachineError(f"{self.name}: {unit} is inactive ({state.get('LoadState')}) and nothing will start it\n{self._journal(unit)}")
            if time.monotonic() > deadline:
                raise MachineError(f"{self.name}: {unit} is {active} after {timeout} s\n{self._journal(unit)}")
            time.sleep(self.POLL)

    def wait_for_open_port(self, port: int, addr: str = "localhost", timeout: Optional[int] = None) -> None:
        self.wait_until_succeeds(f"(exec 3<>/dev/tcp/{addr}/{port}) 2> /dev/null", timeout)

    def wait_for_closed_port(self, port: int, addr: str = "localhost", timeout: Optional[int] = None) -> None:
        self.wait_until_fails(f"(exec 3<>/dev/tcp/{addr}/{port}) 2> /dev/null", timeout)

    def wait_for_file(self, filename: str, timeout: Optional[int] = None) -> None:
        self.wait_until_succeeds(f"test -e {shlex.quote(filename)}", timeout)

    def log(self, message: str) -> None:
        self._say(f"{self.name}: {message}")

    # Within

    def evidence(self) -> str:
        """What a person wants to see when a test failed. Never throws."""
        if not self.booted:
            return "(off)"
        sources = "_TRANSPORT=stdout + _TRANSPORT=journal + _TRANSPORT=syslog"
        try:
            return self.execute(f"systemctl --failed --no-legend --plain; journalctl -b --no-pager -o short-monotonic {sources} | tail -n 80", timeout=60)[1]
        except (OSError, MachineError) as error:
            return f"(no shell: {error})\n{self._console()}"

    def _journal(self, unit: str) -> str:
        return self.execute(f"journalctl -b --no-pager -o cat -u {shlex.quote(unit)} | tail -n 25")[1]

    def _until(self, command: str, timeout: Optional[int], good: Callable[[int], bool]) -> str:
        timeout = self.PATIENCE if timeout is None else timeout
        deadline = time.monotonic() + timeout
        while True:
            code, text = self.execute(command, timeout=timeout)
            if good(code):
                return text
            if time.monotonic() > deadline:
                raise MachineError(f"{self.name}: not so after {timeout} s (last exit code {code}): {command}\n{text}".rstrip())
            time.sleep(self.POLL)

    def _shut_door(self) -> None:
        if self._door is not None:
            self._door.close()
        self._door = None


def last_of(path: str, most: int = 4_000) -> str:
    """The end of a text file, or nothing where there is none."""
    try:
        with open(path, errors="replace") as file:
            return file.read()[-most:]
    except FileNotFoundError:
        return ""
