"""A machine under test. Names and meanings of the methods are those of the NixOS test driver, so that its scripts run here as they are."""

import base64
import os
import shlex
import socket
import subprocess
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from qmp import Qmp
from switch import Switch

BOOT = 600.0
"""Seconds a machine may take to boot; ten times what a quiet one takes."""
ANSWER = 60.0
POLL = 0.5
DEFAULT = 900


class MachineError(Exception):
    """A command or a wait that did not end as the script wants it."""


class Machine:
    def __init__(self, spec: Dict[str, Any], given: Dict[str, Any], folder: str, index: int, log: Callable[[str], None]) -> None:
        """`given` says what all machines share: qemu, img, image, product, kernel, accel."""
        self.name: str = spec["name"]
        self._spec = spec
        self._given = given
        self._folder = folder
        self._index = index
        self._say = log
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self._shell: Any = None
        self._qmp: Optional[Qmp] = None
        self._disk = self._path("qcow2")

    # Life

    def start(self, allow_reboot: bool = False) -> None:
        del allow_reboot
        if self.booted:
            return
        if not os.path.exists(self._disk):
            subprocess.run(
                [*self._given["img"], "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self._given["image"], self._disk], check=True
            )
        for end in ("card", "shell", "qmp"):
            if os.path.exists(self._path(end)):
                os.unlink(self._path(end))
        with open(self._path("console"), "ab") as console:
            self._process = subprocess.Popen(
                ["nice", "-n", "3", "setpriv", "--pdeathsig", "KILL", *self._given["qemu"], *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        self._began = time.monotonic()

    @property
    def booted(self) -> bool:
        return self._process is not None

    def wait_for_boot(self) -> None:
        self._connect()

    def crash(self) -> None:
        """A power cut: what the guest has not written is lost."""
        if self._process is None:
            return
        self._process.kill()
        self._gone()

    def shutdown(self) -> None:
        if self._process is None:
            return
        self._connect()
        self._send("systemctl poweroff --no-block")
        self.wait_for_shutdown()

    def wait_for_shutdown(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(DEFAULT)
        except subprocess.TimeoutExpired:
            raise MachineError(f"{self.name}: did not shut down in {DEFAULT} s") from None
        self._gone()

    def block(self) -> None:
        """Pulls the network cable."""
        self._monitor().command("set_link", name="card", up=False)

    def unblock(self) -> None:
        self._monitor().command("set_link", name="card", up=True)

    # Commands

    def execute(self, command: str, check_return: bool = True, check_output: bool = True, timeout: Optional[int] = DEFAULT) -> Tuple[int, str]:
        """Exit code and stdout. The command is ended when it takes longer than `timeout` seconds (code 124)."""
        del check_return, check_output
        self._connect()
        limit = DEFAULT if timeout is None else timeout
        self._send(f"timeout -k 5 {limit} bash -euo pipefail -c {shlex.quote(command)}")
        self._socket.settimeout(limit + ANSWER)
        try:
            answer = self._shell.readline()
        except socket.timeout:
            raise MachineError(f"{self.name}: no answer to: {command}") from None
        if not answer.endswith(b"\n"):
            raise MachineError(f"{self.name}: the machine went away during: {command}")
        code, _, text = answer.decode().strip().partition(" ")
        return int(code), base64.b64decode(text).decode(errors="replace")

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

    def wait_until_succeeds(self, command: str, timeout: int = DEFAULT) -> str:
        return self._until(command, timeout, lambda code: code == 0)

    def wait_until_fails(self, command: str, timeout: int = DEFAULT) -> str:
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

    def wait_for_unit(self, unit: str, user: Optional[str] = None, timeout: int = DEFAULT) -> None:
        """A unit that failed, or that nothing will start any more, ends the wait at once."""
        del user
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
            time.sleep(POLL)

    def wait_for_open_port(self, port: int, addr: str = "localhost", timeout: int = DEFAULT) -> None:
        self.wait_until_succeeds(f"(exec 3<>/dev/tcp/{addr}/{port}) 2> /dev/null", timeout)

    def wait_for_closed_port(self, port: int, addr: str = "localhost", timeout: int = DEFAULT) -> None:
        self.wait_until_fails(f"(exec 3<>/dev/tcp/{addr}/{port}) 2> /dev/null", timeout)

    def wait_for_file(self, filename: str, timeout: int = DEFAULT) -> None:
        self.wait_until_succeeds(f"test -e {shlex.quote(filename)}", timeout)

    def log(self, message: str) -> None:
        self._say(f"{self.name}: {message}")

    # Within

    def evidence(self) -> str:
        """What a person wants to see when a test failed. Never throws."""
        if self._process is None:
            return "(off)"
        try:
            return self.execute("systemctl --failed --no-legend --plain; journalctl -b --no-pager -o short-monotonic _TRANSPORT=stdout + _TRANSPORT=journal + _TRANSPORT=syslog | tail -n 80", timeout=60)[1]
        except (OSError, MachineError) as error:
            return f"(no shell: {error})\n{self._console()}"

    def _journal(self, unit: str) -> str:
        return self.execute(f"journalctl -b --no-pager -o cat -u {shlex.quote(unit)} | tail -n 25")[1]

    def _until(self, command: str, timeout: int, good: Callable[[int], bool]) -> str:
        deadline = time.monotonic() + timeout
        while True:
            code, text = self.execute(command, timeout=timeout)
            if good(code):
                return text
            if time.monotonic() > deadline:
                raise MachineError(f"{self.name}: not so after {timeout} s (last exit code {code}): {command}\n{text}".rstrip())
            time.sleep(POLL)

    def _send(self, command: str) -> None:
        self._shell.write(base64.b64encode(command.encode()) + b"\n")
        self._shell.flush()

    def _connect(self) -> None:
        """Starts the machine when it is off, and waits for its shell."""
        if self._shell is not None:
            return
        self.start()
        assert self._process is not None
        deadline = time.monotonic() + BOOT
        while True:
            if self._process.poll() is not None:
                self._gone()
                raise MachineError(f"{self.name}: qemu ended while the machine booted\n{self._console()}")
            try:
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.settimeout(max(1.0, deadline - time.monotonic()))
                self._socket.connect(self._path("shell"))
                break
            except OSError:
                self._socket.close()
                if time.monotonic() > deadline:
                    raise MachineError(f"{self.name}: qemu opened no shell") from None
                time.sleep(POLL)
        self._shell = self._socket.makefile("rwb")
        try:
            greeting = self._shell.readline()
        except socket.timeout:
            greeting = b""
        if greeting != b"ready\n":
            raise MachineError(f"{self.name}: did not boot, after {time.monotonic() - self._began:.0f} s\n{self._console()}")
        self.log(f"booted in {time.monotonic() - self._began:.0f} s")

    def _console(self) -> str:
        """The end of what qemu and the kernel said."""
        told = ""
        for end in ("console", "serial"):
            if os.path.exists(self._path(end)):
                with open(self._path(end), errors="replace") as file:
                    told += file.read()[-4_000:]
        return told

    def _monitor(self) -> Qmp:
        if self._qmp is None:
            self._qmp = Qmp(self._path("qmp"), ANSWER)
        return self._qmp

    def _gone(self) -> None:
        if self._process is not None:
            self._process.wait()
        self._process = None
        for held in (self._shell, self._qmp, getattr(self, "_socket", None)):
            if held is not None:
                try:
                    held.close()
                except OSError:
                    pass
        self._shell = self._qmp = None

    def _path(self, end: str) -> str:
        return os.path.join(self._folder, f"{self.name}.{end}")

    def _arguments(self) -> List[str]:
        given, (ours, theirs) = self._given, Switch.paths(self._folder, self.name)
        kvm = given["accel"] == "kvm"
        words = {
            "-accel": "kvm" if kvm else "tcg,tb-size=512",
            # Without svm=off a guest believes it could run machines of its own, and loads what emulation is slow at.
            "-cpu": "host" if kvm else "max,svm=off,la57=off,pku=off",
            "-smp": "1",
            "-m": str(self._spec["memory"]),
            "-kernel": given["kernel"],
            "-append": "root=PARTUUID=63696d01-01 rootfstype=ext4 rw init=/usr/lib/cim-vm/init console=ttyS0 net.ifnames=0 panic=-1 quiet "
            "mitigations=off audit=0 lsm=landlock,yama,bpf systemd.show_status=0 systemd.log_level=notice",
            "-serial": f"file:{self._path('serial')}",
            "-qmp": f"unix:{self._path('qmp')},server=on,wait=off",
        }
        disks = [
            f"if=none,id=root,file={self._disk},format=qcow2,cache=writeback",
            f"if=none,id=product,file={given['product']},format=raw,readonly=on",
            f"if=none,id=files,file={self._spec['files']},format=raw,readonly=on",
        ]
        devices = ["nvme,id=nvme,serial=cim", *(f"nvme-ns,bus=nvme,nsid={at + 1},drive={name}" for at, name in enumerate(["root", "product", "files"]))]
        devices += [
            f"virtio-net-pci,id=card,netdev=wire,mac=52:54:00:12:01:{self._index:02x},romfile=",
            "virtio-serial-pci",
            "virtserialport,chardev=shell,name=shell,nr=1",
        ]
        return [
            *given["firmware"],
            *("-M", "pc,vmport=off", "-nodefaults", "-display", "none", "-no-reboot"),
            *(word for pair in words.items() for word in pair),
            *(word for disk in disks for word in ("-drive", disk)),
            *("-netdev", f"dgram,id=wire,local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours}"),
            *("-chardev", f"socket,id=shell,path={self._path('shell')},server=on,wait=off"),
            *(word for device in devices for word in ("-device", device)),
        ]
