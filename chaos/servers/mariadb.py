"""A MariaDB server of our own."""

from __future__ import annotations

import os
import pwd
import signal
import typing as t
from pathlib import Path

import sqlalchemy as sa

from chaos.servers.database import DatabaseServer
from chaos.servers.process import ServerProcess
from chaos.servers.programs import find_program
from chaos.servers.programs import run_program

REMEDY = "Install MariaDB: the Debian package mariadb-server, or mariadb of Homebrew."

#: Where the servers are where they are not in the PATH of users.
FOLDERS = [Path("/usr/sbin"), Path("/usr/local/sbin")]

#: A small server that loses nothing: InnoDB writes each commit to the disk by default.
SETTINGS = {
    "bind-address": "127.0.0.1",
    "socket": "socket",  # in the folder of the data: a full path may be too long
    "innodb-buffer-pool-size": "64M",
    "max-connections": "200",
}

#: The error of MariaDB for a connection that has just ended by itself.
UNKNOWN_THREAD = 1094


class MariaDB(DatabaseServer):
    """A MariaDB server. For root, it runs as root."""

    name = "mariadb"
    _scheme = "mysql+pymysql://root"
    _own_database = "mysql"
    _connections = (
        "SELECT id FROM information_schema.processlist"
        " WHERE db = :name AND id <> connection_id()"
    )
    _create = "CREATE DATABASE {} CHARACTER SET utf8mb4"
    _timeouts: t.ClassVar = {"connect_timeout": 2, "read_timeout": 10}

    def _prepare(self) -> ServerProcess:
        data, log = self._home / "data", self._home / "log"
        user = f"--user={pwd.getpwuid(os.geteuid()).pw_name}"
        options = ("--no-defaults", f"--datadir={data}", user)
        if not data.joinpath("mysql").exists():
            run_program(
                _find("mariadb-install-db", "mysql_install_db"),
                *options,
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                log=log,
            )
        settings = {**SETTINGS, "port": str(self._port)}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        switches = ["--skip-name-resolve", "--skip-ssl"]
        server = _find("mariadbd", "mysqld")
        return ServerProcess([server, *options, *arguments, *switches], log)

    def _ask_to_stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def _cut(self, connection: sa.Connection, each: int) -> bool:
        try:
            connection.exec_driver_sql(f"KILL CONNECTION {each}")
        except sa.exc.DBAPIError as error:
            if error.orig is not None and error.orig.args[0] == UNKNOWN_THREAD:
                return False
            raise
        return True


def _find(*names: str) -> str:
    return find_program(names, FOLDERS, REMEDY)
