"""An agent started by a shell that allows few open files serves the till beside more phones than that."""

import resource
import socket
import ssl
from contextlib import ExitStack
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from tests.eventually import eventually
from tests.fakes.agent_process import START_S_MAX, AgentHome, agent_command, agent_on, lay_agent_home
from tests.needs import needs

FILES_OF_SHELL = 64
PHONES = 200


async def test_idle_phones_do_not_keep_the_till_out(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needs(f"leave to open {2 * PHONES} files", hard >= 2 * PHONES)
    home = lay_agent_home(tmp_path)
    shell = ["sh", "-c", f'ulimit -S -n {FILES_OF_SHELL}; exec "$0" "$@"']
    with agent_on(home, [*shell, *agent_command(home)]), ExitStack() as phones:
        await eventually(lambda: health(home) == 200, START_S_MAX, "health 200")
        for number in range(PHONES):
            source = (f"127.0.{number // 200 + 7}.{number % 200 + 1}", 0)
            address = ("127.0.0.1", int(str(home.settings["guest_http_port"])))
            phones.enter_context(socket.create_connection(address, source_address=source))
        await eventually(lambda: health(home) == 200, what="health 200 beside idle phones")


def health(home: AgentHome) -> int | None:
    """The till's way in, by a new connection; None when there is none."""
    context = ssl.create_default_context(cafile=home.access.ca_file)
    connection = HTTPSConnection(
        "127.0.0.1", int(str(home.settings["staff_https_port"])), context=context, timeout=10
    )
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
