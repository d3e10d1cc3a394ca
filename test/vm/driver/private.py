"""A place of their own for containers: namespaces of mounts, network and processes, and a control group, so that this machine's own are left
as they are. In three processes:

  outside   the one that was started: waits, and hands the exit code on
  janitor   its child, in a session of its own: takes everything away when `outside` has ended, however it ended
  inside    first process of the new namespaces: runs the tests (main.py)
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import List

import cgroup
from container import BRIDGE

GONE = 20.0
CGROUP = "/sys/fs/cgroup"
NEEDS = {"unshare": "util-linux", "mount": "mount"}


class Unfit(Exception):
    """This machine cannot hold containers; the reason."""


def run_inside(program: str, spec: str, ip: List[str]) -> int:
    """Runs `program` with the arguments SPEC FOLDER in a place of its own, and returns its exit code. `ip`: the words that start iproute2's.
    Raises Unfit where that cannot be had."""
    parent = find_parent(ip)
    folder = tempfile.mkdtemp(prefix="cim-vm-")
    group = os.path.join(parent, os.path.basename(folder))
    reading, writing = os.pipe()
    janitor = os.fork()
    if janitor == 0:
        os.close(writing)
        _sweep_after(reading, folder, group)
    os.close(reading)
    try:
        os.makedirs(os.path.join(group, "driver"))
        words = [sys.executable, program, spec, folder]
        enter = 'echo "$$" > "$0/driver/cgroup.procs" && exec "$@"'
        namespaces = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        return subprocess.run(["sh", "-c", enter, group, *namespaces, *words], stdin=subprocess.DEVNULL).returncode
    finally:
        os.close(writing)
        os.waitpid(janitor, 0)


def furnish(folder: str, ip: List[str]) -> str:
    """To be called inside: what nspawn and the machines expect to find. Returns the control group that is all theirs."""
    _mount("tmpfs", "/run", "mode=755")
    # Disks of machines: gone with the last process that sees them.
    _mount("tmpfs", folder, "mode=700")
    kind = subprocess.run(["stat", "-f", "-c", "%T", CGROUP], capture_output=True, text=True, check=True).stdout.strip()
    if kind != "cgroup2fs":
        _mount("cgroup2", CGROUP, "")
    own = cgroup.own_group()
    assert own is not None
    group = os.path.dirname(own)
    cgroup.hand_on(group)
    for words in (["set", "lo", "up"], ["add", "name", BRIDGE, "type", "bridge"], ["set", BRIDGE, "up"]):
        subprocess.run([*ip, "link", *words], check=True)
    return group


def _mount(kind: str, where: str, options: str) -> None:
    subprocess.run(["mount", "-t", kind, *(["-o", options] if options else []), kind, where], check=True)


def find_parent(ip: List[str]) -> str:
    """The control group to make ours below. Raises Unfit."""
    if os.geteuid() != 0:
        raise Unfit("containers need root")
    missing = [f"{program} ({package})" for program, package in NEEDS.items() if shutil.which(program) is None]
    if missing:
        raise Unfit(f"containers need {', '.join(missing)}")
    parent = cgroup.own_group()
    if parent is None:
        raise Unfit("containers need control groups of version 2, and none are mounted here")
    trial: List[str] = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    script = 'mount -t tmpfs tmpfs /mnt && exec "$@" link add name cim type bridge'
    tried = subprocess.run([*trial, "sh", "-c", script, "trial", *ip], capture_output=True, text=True)
    if tried.returncode != 0:
        raise Unfit(f"containers need namespaces, mounts and a bridge: {tried.stderr.strip()}")
    if not os.access(parent, os.W_OK) or not os.path.exists(os.path.join(parent, "cgroup.procs")):
        raise Unfit(f"containers need control groups of their own, and {parent} cannot be written to")
    return parent


def _sweep_after(reading: int, folder: str, group: str) -> None:
    """Waits for the end of `outside`, and never returns."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    code = 0
    try:
        os.read(reading, 1)
        if os.path.exists(group):
            cgroup.end_all(group, GONE)
            cgroup.remove(group)
    except BaseException as error:
        print(f"test:vm: {error}", file=sys.stderr, flush=True)
        code = 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(code)
