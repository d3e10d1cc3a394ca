"""A machine under qemu: a kernel and a disk of its own. As true as it gets without NixOS, and forty times slower than this machine."""

import os
import socket
import subprocess
import time
from typing import Any, Callable, Dict, List, Optional

from door import Door, DoorError
from machine import Machine, last_of
from qmp import Qmp
from switch import Switch

ANSWER = 60.0


class EmulatedMachine(Machine):
    PATIENCE = 900
    BOOT = 600.0

    def __init__(self, spec: Dict[str, Any], given: Dict[str, Any], folder: str, index: int, log: Callable[[str], None]) -> None:
        """`given` says what all machines share: qemu, img, image, product, kernel, accel."""
        super().__init__(spec["name"], log)
        self._spec = spec
        self._given = given
        self._folder = folder
        self._index = index
        self._qmp: Optional[Qmp] = None
        self._disk = self._path("qcow2")

    def block(self) -> None:
        self._monitor().command("set_link", name="card", up=False)

    def unblock(self) -> None:
        self._monitor().command("set_link", name="card", up=True)

    def _switch_on(self) -> None:
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

    def _switch_off(self) -> None:
        """What the guest has not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._qmp is not None:
            self._qmp.close()
        self._qmp = None

    def _open_door(self, deadline: float) -> Door:
        process = self._process
        assert process is not None
        while process.poll() is None:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(self._path("shell"))
            except OSError:
                line.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(self.POLL)
                continue
            descriptor = line.detach()
            return Door(descriptor, descriptor, lambda: process.poll() is None)
        raise DoorError("qemu ended")

    def _console(self) -> str:
        return last_of(self._path("console")) + last_of(self._path("serial"))

    def _monitor(self) -> Qmp:
        if self._qmp is None:
            self._qmp = Qmp(self._path("qmp"), ANSWER)
        return self._qmp

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
