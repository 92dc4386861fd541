"""A PostgreSQL server of our own."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import tempfile
import typing as t
from pathlib import Path

import sqlalchemy as sa

from chaos.servers.database import DatabaseServer
from chaos.servers.process import ServerProcess
from chaos.servers.programs import Unavailable
from chaos.servers.programs import find_program
from chaos.servers.programs import run_program

REMEDY = "Install PostgreSQL: the Debian package postgresql, or postgresql of Homebrew."

#: Where Debian has the programs, by their version.
DEBIAN = Path("/usr/lib/postgresql")

#: A small server that loses nothing: ``fsync`` and the like are as PostgreSQL has them.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "deadlock_timeout": "100ms",  # how long a transaction waits before it looks for one
}


class PostgreSQL(DatabaseServer):
    """A PostgreSQL server.

    It does not run as root. For root, it runs as the user ``postgres``, who becomes the
    owner of *home*, and must be able to reach it: of the folders above, those for
    temporary files are opened to all, but not for reading.
    """

    name = "postgresql"
    _scheme = "postgresql+psycopg://postgres"
    _own_database = "postgres"
    _connections = (
        "SELECT pid FROM pg_stat_activity WHERE datname = :name"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )

    def _prepare(self) -> ServerProcess:
        data, log = self._home / "data", self._home / "log"
        options = {"cwd": self._home, **_owner(self._home)}
        if not data.joinpath("global", "pg_control").exists():
            run_program(
                *(_find("initdb"), "--no-sync", "--no-locale", "--encoding=UTF8"),
                *("--username=postgres", "--auth=trust", f"--pgdata={data}"),
                log=log,
                **options,
            )
        settings = {**SETTINGS, "port": str(self._port)}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        command = [_find("postgres"), "-D", str(data), *arguments]
        return ServerProcess(command, log, **options)

    def _ask_to_stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # a fast shutdown, as pg_ctl asks

    def _cut(self, connection: sa.Connection, each: int) -> bool:
        return bool(connection.scalar(sa.select(sa.func.pg_terminate_backend(each))))


def _find(name: str) -> str:
    return find_program([name], _folders(), REMEDY)


def _folders() -> list[Path]:
    """Return where the programs are, other than in PATH: there, only clients are."""
    versions = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name))
    return [*_configured(), *reversed(versions)]


def _configured() -> list[Path]:
    command = ["pg_config", "--bindir"]  # in PATH, as it is known
    try:
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return []
    return [Path(answer.stdout.strip())]


def _owner(home: Path) -> dict[str, t.Any]:
    """Return as whom the programs must run, and let *home* be theirs."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise Unavailable(
            "PostgreSQL does not run as root, and there is no user named postgres."
            " Create one, or run the suite as another user."
        ) from None
    os.chown(home, user.pw_uid, user.pw_gid)
    for folder in home.resolve().parents:
        _open_to_all(folder)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _open_to_all(folder: Path) -> None:
    """Let everybody reach what is in *folder*, if it is temporary."""
    mode = folder.stat().st_mode
    if mode & stat.S_IXOTH:
        return
    if Path(tempfile.gettempdir()).resolve() not in folder.parents:
        raise Unavailable(
            f"PostgreSQL does not run as root, and {folder} is closed to others."
            f" Choose another folder, or open it: chmod o+x {folder}"
        )
    folder.chmod(mode | stat.S_IXOTH)
