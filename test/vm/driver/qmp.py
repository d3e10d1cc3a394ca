"""The control socket of a running qemu: one command at a time, each with its answer."""

import json
import socket
from typing import Any, Dict


class Qmp:
    def __init__(self, path: str, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(path)
        self._file = self._socket.makefile("rwb")
        self._read()
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        """Runs a command; the words of a refusal become an error."""
        self._file.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        self._file.flush()
        while True:
            answer = self._read()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(f"qemu: {name}: {answer['error']['desc']}")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _read(self) -> Dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise ConnectionError("qemu closed its control socket")
        return json.loads(line)
