"""Tells systemd that HQ is ready, alive, stopping. Does nothing when it was not started by systemd."""

import os
import socket


class Systemd:
    """Speaks the notify protocol. Source: sd_notify(3)."""

    def __init__(self) -> None:
        self._path = os.environ.get("NOTIFY_SOCKET", "")

    def ready(self, status: str) -> None:
        self._tell(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if not self._path:
            return
        # A leading @ stands for the abstract namespace.
        address = self._path.replace("@", "\0", 1) if self._path.startswith("@") else self._path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.connect(address)
            notify.sendall(message.encode())
