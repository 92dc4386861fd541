"""A RabbitMQ node of our own."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
import typing as t
import urllib.parse

from signalbus.testing.proxy import TcpProxy

from chaos.servers.console import ERLANG
from chaos.servers.console import FOLDERS
from chaos.servers.console import RABBITMQ
from chaos.servers.console import Console
from chaos.servers.console import NodeUnreachableError
from chaos.servers.console import text
from chaos.servers.ports import free_port
from chaos.servers.process import ServerProcess
from chaos.servers.programs import find_program

if t.TYPE_CHECKING:
    from pathlib import Path

NODE = "chaos@localhost"

#: When the node raises an alarm by itself: hardly ever.
MEMORY = 0.6
DISK = 10_000_000

#: How long an alarm may take to be in force, or gone, in seconds.
ALARM_TIMEOUT = 30.0

#: Whether there is an alarm for a resource.
ALARM = "[] =/= [1 || {{{{resource_limit, {}, _}}, _}} <- rabbit_alarm:get_alarms()]"

GREETING = b"AMQP\x00\x00\x09\x01"

CONFIG = f"""\
vm_memory_high_watermark.relative = {MEMORY}
disk_free_limit.absolute = {DISK}
"""


class _Programs(t.NamedTuple):
    """What a node consists of."""

    #: epmd, which knows on which ports the nodes of a host are: one of our own.
    registry: ServerProcess

    node: ServerProcess
    console: Console


class RabbitMQ:
    """A RabbitMQ node with a proxy before it.

    Its methods may be called in any order, and repeatedly. Those that change its state
    return when the state is reached. The proxy accepts connections from the first
    :meth:`start` to :meth:`close`, also while the node is down: it then ends them.

    :param home: its folder. With the same folder, it has the same data again.
    """

    name = "rabbitmq"

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        self._distribution_port = free_port()
        self._registry_port = free_port()
        self._programs: _Programs | None = None
        #: Stands before the node.
        self.proxy = TcpProxy("127.0.0.1", self._port)

    def start(self) -> None:
        """Start, and return when it takes connections.

        :raises Unavailable: its programs are not installed.
        :raises RuntimeError: it does not start. The message says what it has logged.
        """
        if self._programs is None:
            self._programs = self._prepare()
        self._programs.registry.start(lambda: _answers(self._registry_port))
        self._programs.node.start(self._is_ready)
        self.proxy.start()

    def stop(self) -> None:
        """Shut it down in order."""
        if self._programs is not None:
            node = self._programs.node
            node.stop(lambda: node.send_signal(signal.SIGTERM))

    def kill(self) -> None:
        """Kill all its processes, so that the next start must recover."""
        if self._programs is not None:
            self._programs.node.kill()

    def freeze(self) -> None:
        """Stop all its processes: it keeps everything, and answers nothing."""
        if self._programs is not None:
            self._programs.node.freeze()

    def thaw(self) -> None:
        """Let its processes go on."""
        if self._programs is not None:
            self._programs.node.thaw()

    def close(self) -> None:
        """Kill it and end the proxy, in whatever state they are."""
        self.proxy.thaw()
        self.proxy.stop()
        self.kill()
        if self._programs is not None:
            self._programs.registry.kill()

    def url(self, vhost: str = "/", *, direct: bool = False) -> str:
        """Return the URL of a virtual host.

        :param direct: go past the proxy.
        """
        port = self._port if direct else self.proxy.port
        quoted = urllib.parse.quote(vhost, safe="")
        return f"amqp://guest:guest@127.0.0.1:{port}/{quoted}"

    def create_vhost(self, name: str) -> None:
        """Create a virtual host, in which guests may do anything."""
        vhost, guest, any_name, who = map(text, (name, "guest", ".*", "chaos"))
        permissions = f"{guest}, {vhost}, {any_name}, {any_name}, {any_name}, {who}"
        self._evaluate(
            f"ok = rabbit_vhost:add({vhost}, {who}),"
            f" ok = rabbit_auth_backend_internal:set_permissions({permissions})"
        )

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with all that it has; its connections end."""
        self._evaluate(f"rabbit_vhost:delete({text(name)}, {text('chaos')})")

    def cut_connections(self, vhost: str | None = None) -> int:
        """End the connections of clients, which are told that an operator did so.

        :param vhost: to which virtual host. To all if it is ``None``.
        :return: how many it has ended; none if the node is down, or frozen.
        """
        condition = "true" if vhost is None else f"Vhost =:= {text(vhost)}"
        try:
            answer = self._evaluate(
                "Found = [Pid || [{pid, Pid}, {vhost, Vhost}] <-"
                f" rabbit_networking:connection_info_all([pid, vhost]), {condition}],"
                ' rabbit_networking:close_connections(Found, "chaos"), length(Found)'
            )
        except NodeUnreachableError:
            return 0
        return int(answer)

    def raise_memory_alarm(self) -> None:
        """Let it run short of memory: it blocks all connections that publish."""
        self._evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.0)")
        self._wait_until(ALARM.format("memory"))

    def raise_disk_alarm(self) -> None:
        """Let it run short of disk space: it blocks all connections that publish."""
        self._evaluate("rabbit_disk_monitor:set_disk_free_limit(1 bsl 60)")
        self._wait_until(ALARM.format("disk"))

    def clear_alarms(self) -> None:
        """Let it have enough of all: it unblocks the connections."""
        self._evaluate(f"vm_memory_monitor:set_vm_memory_high_watermark({MEMORY})")
        self._evaluate(f"rabbit_disk_monitor:set_disk_free_limit({DISK})")
        self._wait_until("[] =:= rabbit_alarm:get_alarms()")

    def control(self, *arguments: str) -> str:
        """Return what ``rabbitmqctl`` prints. It takes more than a second."""
        return self._running().console.control(*arguments)

    def _prepare(self) -> _Programs:
        self._home.mkdir(parents=True, exist_ok=True)
        self._home.joinpath("plugins").write_text("[].")
        self._home.joinpath("env").touch()
        self._home.joinpath("node.conf").write_text(CONFIG)
        cookie = self._home / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        log = self._home / "output"
        registry = find_program(["epmd"], [], ERLANG)
        options = ["-port", str(self._registry_port), "-address", "127.0.0.1"]
        server = find_program(["rabbitmq-server"], FOLDERS, RABBITMQ)
        return _Programs(
            ServerProcess([registry, *options], log, env=self._environ),
            ServerProcess([server], log, env=self._environ),
            Console(NODE, self._environ),
        )

    def _is_ready(self) -> bool:
        return _answers(self._port, GREETING) and self._is("rabbit:is_running()")

    def _is(self, condition: str) -> bool:
        try:
            return self._evaluate(condition) == "true"
        except NodeUnreachableError:
            return False

    def _evaluate(self, expression: str) -> str:
        return self._running().console.evaluate(expression)

    def _running(self) -> _Programs:
        """Return the programs, if they can answer."""
        if self._programs is None or not self._programs.node.is_answering:
            raise NodeUnreachableError("The node is down, or frozen. Start or thaw it.")
        return self._programs

    def _wait_until(self, condition: str) -> None:
        deadline = time.monotonic() + ALARM_TIMEOUT
        while not self._is(condition):
            if time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not come to {condition} in time.")
            time.sleep(0.02)

    @property
    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self._home),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._registry_port),
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self._home / "data"),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self._home / "env"),
            "RABBITMQ_CONFIG_FILE": str(self._home / "node.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }


def _answers(port: int, greeting: bytes = b"") -> bool:
    """Return whether a server listens there, and answers *greeting* if there is one."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(greeting)
            return not greeting or bool(connection.recv(1))
    except OSError:
        return False
