"""The wire between the machines: a switch that learns who is where. Frames are datagrams of unix sockets, so nothing leaves this machine."""

import os
import selectors
import socket
import threading
from typing import Dict, List, Tuple

FRAME = 65_536
STEP = 0.2


class Switch:
    def __init__(self, folder: str, names: List[str]) -> None:
        self._selector = selectors.DefaultSelector()
        self._ports: Dict[str, Tuple[socket.socket, str]] = {}
        self._seen: Dict[bytes, str] = {}
        self._ended = threading.Event()
        for name in names:
            ours, theirs = self.paths(folder, name)
            port = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            port.setblocking(False)
            port.bind(ours)
            self._ports[name] = (port, theirs)
            self._selector.register(port, selectors.EVENT_READ, name)
        self._thread = threading.Thread(target=self._run, name="switch", daemon=True)
        self._thread.start()

    @staticmethod
    def paths(folder: str, name: str) -> Tuple[str, str]:
        """Our end of a machine's cable and the machine's own."""
        return os.path.join(folder, f"{name}.switch"), os.path.join(folder, f"{name}.card")

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._selector.close()
        for port, _ in self._ports.values():
            port.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(STEP):
                self._forward(key.data)

    def _forward(self, source: str) -> None:
        try:
            frame = self._ports[source][0].recv(FRAME)
        except OSError:
            return
        to, sender = frame[:6], frame[6:12]
        self._seen[sender] = source
        known = None if to[0] & 1 else self._seen.get(to)
        for name in [known] if known is not None else self._ports:
            if name == source:
                continue
            port, address = self._ports[name]
            try:
                port.sendto(frame, address)
            except OSError:
                # A machine that is off or that does not keep up loses frames, as on any wire.
                pass
