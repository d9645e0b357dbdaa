"""A PostgreSQL server of a test's own, that it may stop, restart, promote and run out of connections.

Needs PostgreSQL's programs on this machine (initdb, pg_ctl); without them the tests are skipped with the reason.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PLACES = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "max_connections": "12",
    "superuser_reserved_connections": "1",
    "unix_socket_directories": "''",
    "shared_buffers": "'8MB'",
    "wal_level": "replica",
    "hot_standby": "on",
}


def programs() -> Path:
    """The folder of PostgreSQL's programs; skips where there is none."""
    found = shutil.which("initdb")
    places = [*([Path(found).resolve().parent] if found else []), *(f for p in _PLACES for f in Path(p).glob("*/bin"))]
    for folder in sorted(places, reverse=True):
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "pg_basebackup")):
            return folder
    pytest.skip("no PostgreSQL server to start: initdb, pg_ctl and pg_basebackup were not found")


def _as_somebody() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.name != "posix" or os.geteuid() != 0:
        return []
    if not (runner := shutil.which("setpriv")):
        pytest.skip("no PostgreSQL server to start: root cannot, and setpriv is missing")
    return [runner, "--reuid=65534", "--regid=65534", "--clear-groups"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class Server:
    """One server process and its folder."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder, self.port = folder, port or free_port()
        self._bin, self._as = programs(), _as_somebody()

    @property
    def url(self) -> str:
        return f"postgresql://kim:right@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *words: str) -> None:
        command = [*self._as, str(self._bin / program), *words]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", stdin=subprocess.DEVNULL, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def make(self) -> None:
        """A new cluster whose users must know their passwords."""
        secret = self.folder.parent / f"{self.folder.name}.secret"
        secret.write_text("right\n")
        secret.chmod(0o644)
        self.run("initdb", "-D", str(self.folder), "-U", "kim", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync",
                 "--locale=C", f"--pwfile={secret}")  # fmt: skip
        self.configure(**_SETTINGS)
        hba = self.folder / "pg_hba.conf"
        hba.write_text("host replication all 127.0.0.1/32 trust\n" + hba.read_text())

    def configure(self, **settings: str) -> None:
        with (self.folder / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in {**settings, "port": str(self.port)}.items())

    def start(self) -> None:
        log = self.folder.parent / f"{self.folder.name}.log"
        self.run("pg_ctl", "start", "-w", "-D", str(self.folder), "-l", str(log))

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "stop", "-w", "-D", str(self.folder), "-m", mode)

    def standby(self) -> "Server":
        """A second server that follows this one."""
        other = Server(self.folder.with_name("standby"))
        self.run("pg_basebackup", "-D", str(other.folder), "-h", "127.0.0.1", "-p", str(self.port), "-U", "kim", "-R",
                 "-c", "fast", "--no-sync", "-w")  # fmt: skip
        other.configure()
        return other

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-w", "-D", str(self.folder))

    @property
    def running(self) -> bool:
        return (self.folder / "postmaster.pid").exists()


@contextmanager
def server() -> Iterator[Server]:
    """A fresh server, running; stopped in the end, with its standby.

    In a folder of its own: pytest's are closed to others, and the server may have to be another user.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        home = Path(name)
        home.chmod(0o777)
        one = Server(home / "primary")
        one.make()
        one.start()
        try:
            yield one
        finally:
            for each in (one, Server(home / "standby", 1)):
                if each.running:
                    each.stop("immediate")
