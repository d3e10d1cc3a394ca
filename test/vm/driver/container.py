"""A machine as a container of systemd-nspawn: systemd as its first process, real units, the speed of this machine; the kernel is this
machine's own. Its disk is a layer over the root that all share, and outlives a power cut."""

import os
import shutil
import socket
import subprocess
import time
from typing import Any, Callable, Dict, List

from cgroup import end_all, remove
from door import Door
from machine import Machine, MachineError, last_of

BRIDGE = "cim"
GONE = 20.0
"""Seconds until the kernel has taken everything of a killed container away."""
# Beside what nspawn leaves a container that has a network of its own: BPF is what systemd keeps IPAddressDeny= and DeviceAllow= with. No device
# node is made in there: nothing would keep root in it from the disks of this machine.
CAPABILITIES = ["--capability=CAP_BPF", "--drop-capability=CAP_MKNOD"]


class ContainerMachine(Machine):
    POLL = 0.1

    def __init__(self, spec: Dict[str, Any], given: Dict[str, Any], folder: str, index: int, log: Callable[[str], None]) -> None:
        """`given` says what all machines share: nspawn, ip, root, product, and the control group of the driver."""
        del index
        super().__init__(spec["name"], log)
        self._spec = spec
        self._given = given
        self._folder = os.path.join(folder, self.name)
        self._group = os.path.join(given["group"], self.name)

    def block(self) -> None:
        self._set_card("down")

    def unblock(self) -> None:
        self._set_card("up")

    def discard(self) -> None:
        super().discard()
        if os.path.exists(self._folder):
            subprocess.run(["umount", self._path("root")], check=True)
            shutil.rmtree(self._folder)

    def _switch_on(self) -> None:
        if not os.path.exists(self._folder):
            self._insert_disk()
        for way in ("in", "out"):
            if os.path.exists(self._path(f"door/{way}")):
                os.unlink(self._path(f"door/{way}"))
            os.mkfifo(self._path(f"door/{way}"), 0o600)
        os.makedirs(self._group, exist_ok=True)
        enter = 'echo "$$" > "$0/cgroup.procs" && exec "$@"'
        with open(self._path("console"), "ab") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", enter, self._group, *self._given["nspawn"], *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )

    def _switch_off(self) -> None:
        """Every process of it ends in the same moment. What it wrote stays, synced or not: the kernel that holds it lives on."""
        if self._process is None:
            return
        end_all(self._group, GONE)
        self._process.wait()
        self._process = None
        remove(self._group)
        # nspawn's own end would have done it.
        export = f"/run/systemd/nspawn/unix-export/{self.name}"
        if os.path.ismount(export):
            subprocess.run(["umount", "--lazy", export], check=True)
        deadline = time.monotonic() + GONE
        # Asked of the kernel: the /sys that is mounted here shows the network that the driver was started in, not the one it is in.
        while any(name == self._card() for _, name in socket.if_nameindex()):
            if time.monotonic() > deadline:
                raise MachineError(f"{self.name}: its network card is still there {GONE:.0f} s after it went off")
            time.sleep(0.02)

    def _open_door(self, deadline: float) -> Door:
        del deadline
        process = self._process
        assert process is not None
        # For both, so that opening waits for nobody and a shell that starts again finds the door open.
        ways = [os.open(self._path(f"door/{way}"), os.O_RDWR | os.O_CLOEXEC) for way in ("out", "in")]
        return Door(*ways, lambda: process.poll() is None)

    def _console(self) -> str:
        return last_of(self._path("console"))

    def _insert_disk(self) -> None:
        for part in ("disk", "work", "root", "door"):
            os.makedirs(self._path(part))
        shutil.copy(self._spec["files"], self._path("door/files.tar"))
        layers = f"lowerdir={self._given['root']},upperdir={self._path('disk')},workdir={self._path('work')}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self._path("root")], check=True)

    def _card(self) -> str:
        """Our end of its cable, as nspawn names it."""
        return f"vb-{self.name}"

    def _set_card(self, state: str) -> None:
        subprocess.run([*self._given["ip"], "link", "set", self._card(), state], check=True)

    def _path(self, end: str) -> str:
        return os.path.join(self._folder, end)

    def _arguments(self) -> List[str]:
        return [
            *("--quiet", "--register=no", "--keep-unit", "--settings=no", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
            *("--console=read-only", f"--machine={self.name}", f"--directory={self._path('root')}", f"--network-bridge={BRIDGE}"),
            *(f"--bind={self._path('door')}:/mnt", f"--bind-ro={self._given['product']}:{self._given['mount']}"),
            *(*CAPABILITIES, "--kill-signal=SIGRTMIN+3", "/usr/lib/cim-vm/init"),
        ]
