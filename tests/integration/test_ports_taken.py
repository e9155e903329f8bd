"""Who has a port, as it is told on a terminal."""

import subprocess
import sys

from aiohttp.test_utils import unused_port

from provisioning.adapters.ports_taken import holder_of, is_free

_LISTENS = """
import socket, sys
with socket.socket() as listener:
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen()
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_port_is_told_with_its_process_in_one_short_line() -> None:
    port = unused_port()
    command = [sys.executable, "-c", _LISTENS, str(port), "\x1b[2J", "x" * 500]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        assert not is_free("127.0.0.1", port)
        told = str(holder_of(port))
        other.communicate()
    assert told.startswith(f"process {other.pid} ({sys.executable} -c import socket, sys with")
    assert told.isprintable()
    assert len(told) < 130


def test_a_free_port_is_nobodys() -> None:
    port = unused_port()
    assert is_free("127.0.0.1", port)
    assert holder_of(port).pid is None
