"""How a node of RabbitMQ is told what to do.

``rabbitmqctl`` starts an Erlang of its own, which takes more than a second of a
processor. ``erl_call`` is a small program that comes with Erlang, and does the same in
some milliseconds.
"""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

from chaos.servers.programs import find_program

ERLANG = "Install Erlang: the Debian package erlang-base, or erlang of Homebrew."

RABBITMQ = (
    "Install RabbitMQ: the Debian package rabbitmq-server, or rabbitmq of Homebrew."
)

#: Where Debian has the programs themselves. Those in PATH there change the user.
FOLDERS = [Path("/usr/lib/rabbitmq/bin")]

#: How long the node may take to answer, in seconds.
TIMEOUT = 10


class NodeUnreachableError(Exception):
    """The node is down, or does not answer."""


class Console:
    """What one types to talk to a node.

    :param node: its name.
    :param environ: the environment of the node.
    :raises Unavailable: a program is not installed.
    """

    def __init__(self, node: str, environ: t.Mapping[str, str]) -> None:
        self._environ = environ
        self._control = find_program(["rabbitmqctl"], FOLDERS, RABBITMQ)
        call = find_program(["erl_call"], _erlang_folders(), ERLANG)
        self._call = [call, "-sname", node, "-r", "-timeout", str(TIMEOUT), "-e"]

    def evaluate(self, expression: str) -> str:
        """Return the value of an Erlang expression in the node, as it is written.

        :raises NodeUnreachableError: it does not answer.
        :raises RuntimeError: the expression fails.
        """
        result = self._run(self._call, input=f"{expression}.\n")
        if result.returncode:
            raise NodeUnreachableError(result.stderr)
        if value := re.fullmatch(r"\{ok, (.*)\}\s*", result.stdout, re.DOTALL):
            return value[1]
        raise RuntimeError(f"RabbitMQ cannot evaluate {expression}: {result.stdout}")

    def control(self, *arguments: str) -> str:
        """Return what ``rabbitmqctl`` prints.

        :raises RuntimeError: it fails.
        """
        result = self._run([self._control, "--quiet", *arguments])
        if result.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def _run(
        self, command: list[str], **options: t.Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 our own programs
            command,
            check=False,
            capture_output=True,
            env=self._environ,
            text=True,
            **options,
        )


def text(value: str) -> str:
    """Return the Erlang of a string, as RabbitMQ has names."""
    return f"<<{','.join(map(str, value.encode()))}>>"


def _erlang_folders() -> list[Path]:
    """Return where the programs are that Erlang does not put into PATH."""
    libraries = [Path("/usr/lib/erlang"), Path("/opt/homebrew/lib/erlang")]
    return [each for library in libraries for each in library.glob("erts-*/bin")]
