"""Two hosts on a wire of their own: network namespaces that a test made, and that go with it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    namespace: str
    address: str

    def command(self, *words: str) -> list[str]:
        """The words of a command line that runs on this host."""
        return ["ip", "netns", "exec", self.namespace, *words]


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Needs root and the command ``ip``. Errors: CalledProcessError when the kernel allows no namespaces."""
    tag = f"bk{os.getpid() % 100_000}"
    hosts = (Host(f"{tag}a", "10.77.0.1"), Host(f"{tag}b", "10.77.0.2"))
    try:
        for host in hosts:
            _ip("netns", "add", host.namespace)
        first, second = (f"{host.namespace}0" for host in hosts)
        _ip(
            "link",
            "add",
            first,
            "netns",
            hosts[0].namespace,
            "type",
            "veth",
            "peer",
            "name",
            second,
            "netns",
            hosts[1].namespace,
        )
        for host, device in zip(hosts, (first, second), strict=True):
            _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", device)
            _ip("-n", host.namespace, "link", "set", device, "up")
            _ip("-n", host.namespace, "link", "set", "lo", "up")
            _ip("-n", host.namespace, "route", "add", "224.0.0.0/4", "dev", device)
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "delete", host.namespace], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
