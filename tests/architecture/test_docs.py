"""The snippets of README and docs run, and print what the page says they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lash_host import load_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n(?:[^\n]*:\n\n)?```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)


def snippets(language: str) -> list[pytest.param]:
    found = []
    for page in PAGES:
        if page.name == "hooks.md":  # declarations, checked against the source elsewhere
            continue
        for number, match in enumerate(FENCE.finditer(page.read_text()), start=1):
            if match[1] == language:
                found.append(pytest.param(match[2], match[3], id=f"{page.stem}-{number}"))
    return found


@pytest.mark.parametrize(("code", "printed"), snippets("python"))
def test_python_snippets_run(code: str, printed: str | None, tmp_path: Path) -> None:
    environment = {**os.environ, "LASH_STORE": str(tmp_path / "sessions.duckdb"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if printed is not None:
        assert done.stdout.strip() == printed.strip()


@pytest.mark.parametrize(("text", "printed"), snippets("toml"))
def test_toml_snippets_are_settings_or_a_project(text: str, printed: str | None, tmp_path: Path) -> None:
    assert printed is None
    if "project" in tomllib.loads(text):
        return
    (tmp_path / "lash.toml").write_text(text)
    load_settings(cwd=tmp_path, environ={})


def test_ci_runs_what_the_readme_tells_a_contributor_to_run() -> None:
    command = "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox"
    assert command in (ROOT / "README.md").read_text()
    assert command in (ROOT / "CONTRIBUTING.md").read_text()
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[-1] == command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
