"""Builds everything, installs it into an empty environment, and uses it as a new user would.

Run as ``python check_wheels.py FOLDER``; needs the package `build`. Not a pytest module: what a user does, in order.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml")))

NOTES_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "lash-notes"
version = "1.2.3"
dependencies = ["lash-host>=0.1,<0.2"]

[project.entry-points."lash_host.plugins"]
notes = "lash_notes"

[tool.hatch.build.targets.wheel]
packages = ["lash_notes"]
"""

NOTES_MODULE = '''\
"""lash_notes: lets the model keep notes that survive restarts."""
from lash_host import SessionPlugin, hookimpl, tool
from pydantic import BaseModel

class Notes(BaseModel):
    lines: list[str] = []

class NotesPlugin(SessionPlugin[Notes]):
    @tool
    async def add_note(self, text: str) -> str:
        """Remember one line for this session."""
        self.state.lines.append(text)
        return f"{len(self.state.lines)} notes"

@hookimpl
def lash_create_session_plugin(context):
    return NotesPlugin(context)
'''


class User:
    """Somebody with an empty environment and a folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        venv.create(folder / "env", with_pip=True)
        self.bin = folder / "env" / "bin"
        self.checks = 0

    def run(self, *command: str, status: int = 0, stdin: bytes | None = None) -> str:
        """Run a command of the environment; give what it printed on standard output."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("LASH_", "OPENAI_", "PYTHON"))}
        environment |= {"HOME": str(self.home), "LASH_STORE": str(self.folder / "sessions.duckdb")}
        environment["PATH"] = f"{self.bin}{os.pathsep}{environment['PATH']}"
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.home,
            env=environment,
            input=stdin,
            capture_output=True,
            check=False,
        )
        output, errors = done.stdout.decode(), done.stderr.decode()
        if done.returncode != status or "Traceback" in errors:
            sys.exit(f"$ {' '.join(command)}\nexit status {done.returncode}, expected {status}\n{output}\n{errors}")
        return output

    def check(self, what: str, *, holds: bool) -> None:
        """Note that something was checked; stop where it does not hold."""
        if not holds:
            sys.exit(f"FAILED: {what}")
        self.checks += 1
        print(f"ok: {what}", flush=True)


def build(folder: Path) -> Path:
    """Build a wheel and an sdist of every package."""
    wheels = folder / "dist"
    for package in PACKAGES:
        subprocess.run(
            [sys.executable, "-m", "build", "--outdir", str(wheels), str(package)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return wheels


def main(folder: Path) -> None:
    """Be a new user."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wheels = build(folder)
    user = User(folder)
    names = len(list(wheels.glob("*.whl"))), len(list(wheels.glob("*.tar.gz")))
    user.check("a wheel and an sdist of each package", holds=names == (len(PACKAGES), len(PACKAGES)))
    user.run("pip", "install", "-q", *map(str, sorted(wheels.glob("*.whl"))))
    (user.home / "README.md").write_text("# Two commands\n\n```\nmake it\nmake test\n```\n")
    main_job(user)
    foreign_plugin(user)
    bad_input(user)
    sdists(user, wheels)
    print(f"{user.checks} passed, 0 failed")


def main_job(user: User) -> None:
    """A session that uses tools, goes on in a second process, and is asked about in SQL."""
    first = user.run("lash", "run", "Read README.md and tell me the two commands", "-s", "demo")
    user.check("the answer quotes the file", holds="make it" in first and "make test" in first)
    second = user.run("python", "-m", "lash_host", "run", "What did I ask before?", "-s", "demo")
    user.check("a second process remembers", holds="Read README.md" in second)
    rows = json.loads(user.run("lash", "usage", "--by", "model", "--format", "json"))
    query = "select model, sum(total_tokens) as total_tokens from usage.model_calls group by all"
    same = json.loads(user.run("lash", "sql", query, "--format", "json"))
    user.check(
        "usage and SQL agree",
        holds=[(r["model"], r["total_tokens"]) for r in rows] == [tuple(r.values()) for r in same],
    )
    sessions = json.loads(user.run("lash", "sessions", "list", "--format", "json"))
    user.check("the session is listed", holds=[s["session_id"] for s in sessions] == ["demo"])


def foreign_plugin(user: User) -> None:
    """A plugin made elsewhere: installed, used, restarted, uninstalled, installed again."""
    project = user.folder / "lash-notes"
    (project / "lash_notes").mkdir(parents=True)
    (project / "pyproject.toml").write_text(NOTES_PROJECT)
    (project / "lash_notes" / "__init__.py").write_text(NOTES_MODULE)
    user.run("pip", "install", "-q", str(project))
    listed = {row["plugin_id"]: row for row in json.loads(user.run("lash", "plugins", "list", "--format", "json"))}
    user.check("the plugin is listed with its version", holds=listed["notes"]["version"] == "1.2.3")
    for number in (1, 2):
        said = user.run("lash", "run", f'use the add_note tool with text "line {number}"', "-s", "notes")
        user.check(f"the counter is at {number}", holds=f"{number} notes" in said)
    user.run("pip", "uninstall", "-q", "-y", "lash-notes")
    user.run("lash", "run", "What did I ask before?", "-s", "notes")
    user.run("pip", "install", "-q", str(project))
    said = user.run("lash", "run", 'use the add_note tool with text "line 3"', "-s", "notes")
    user.check("its state waited for it", holds="3 notes" in said)


def bad_input(user: User) -> None:
    """Each mistake gets one readable error and the right exit status, and nothing is lost."""
    mistakes = (
        (("lash", "run", "hi", "-m", "nobody/x"), 2),
        (("lash", "run", "hi", "-m", "offline/x"), 2),
        (("lash", "run", ""), 2),
        (("lash", "run", "hi", "--option", "nobody.x=1"), 2),
        (("lash", "sessions", "show", "nobody"), 2),
        (("lash", "sql", "drop table lash_tables.sessions"), 2),
        (("lash", "sql", "select * from read_csv('/etc/passwd')"), 1),
        (("lash", "run", "hi", "-m", "openai/gpt-5.2"), 1),
        (("lash", "nonsense"), 2),
    )
    for command, status in mistakes:
        user.run(*command, status=status)
        user.check(f"{' '.join(command[1:])!r} ends with {status}", holds=True)
    user.run("lash", "run", "-", status=2, stdin=b"\x80\x81\xff")
    sessions = json.loads(user.run("lash", "sessions", "list", "--format", "json"))
    user.check("nothing was lost", holds={s["session_id"] for s in sessions} == {"demo", "notes"})


def sdists(user: User, wheels: Path) -> None:
    """The sdists install too, into another empty environment."""
    environment = user.folder / "env2"
    venv.create(environment, with_pip=True)
    pip = str(environment / "bin" / "pip")
    subprocess.run([pip, "install", "-q", *map(str, sorted(wheels.glob("*.tar.gz")))], check=True)
    done = subprocess.run(
        [str(environment / "bin" / "lash"), "plugins", "list", "--format", "json"], check=True, capture_output=True
    )
    user.check("the sdists install", holds=len(json.loads(done.stdout)) == len(PACKAGES) - 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
