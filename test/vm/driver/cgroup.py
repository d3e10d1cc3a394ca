"""The control groups that containers live in: one for each run of the driver, below the one it was started in, removed with all that is in it."""

import os
import time
from typing import List, Optional


def own_group() -> Optional[str]:
    """The folder of this process' group in the version 2 hierarchy; None where that hierarchy is not mounted."""
    with open("/proc/self/cgroup") as file:
        own = next((line[3:].strip() for line in file if line.startswith("0::")), None)
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            if own is None or not right.startswith("cgroup2 "):
                continue
            root, point = left.split(" ")[3:5]
            if root == "/" or own == root or own.startswith(f"{root}/"):
                folder = os.path.normpath(point + "/" + own[len(root) if root != "/" else 0 :])
                # A mount that another one covers is still listed.
                if os.path.exists(os.path.join(folder, "cgroup.procs")):
                    return folder
    return None


def controllers(group: str) -> List[str]:
    """What this group may hand on."""
    with open(os.path.join(group, "cgroup.controllers")) as file:
        return file.read().split()


def hand_on(group: str) -> None:
    """Gives the groups below all that this one has; nothing may run in the group itself."""
    with open(os.path.join(group, "cgroup.subtree_control"), "w") as file:
        file.write(" ".join(f"+{name}" for name in controllers(group)))


def enter(group: str) -> None:
    with open(os.path.join(group, "cgroup.procs"), "w") as file:
        file.write("0")


def end_all(group: str, timeout: float) -> None:
    """Kills everything in the group and below, and waits until it is gone."""
    deadline = time.monotonic() + timeout
    with open(os.path.join(group, "cgroup.kill"), "w") as file:
        file.write("1")
    while _populated(group):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{group} still holds processes {timeout:.0f} s after they were killed")
        time.sleep(0.01)


def remove(group: str) -> None:
    """Of a group in which nothing lives; a group that is not there is as good."""
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass


def _populated(group: str) -> bool:
    with open(os.path.join(group, "cgroup.events")) as file:
        return "populated 1" in file.read()
