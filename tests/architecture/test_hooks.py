"""The house rules about hooks."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from lash_host.hookspecs.table import HOOKS, Hook

ROOT = Path(__file__).resolve().parents[2]
hooks = pytest.mark.parametrize("hook", HOOKS.values(), ids=lambda hook: hook.name)


@hooks
def test_a_hook_is_named_and_documented(hook: Hook) -> None:
    doc = inspect.getdoc(hook.spec) or ""
    signature = inspect.signature(hook.spec)
    assert hook.name.startswith("lash_")
    assert "Called" in doc, "when it is called"
    assert "Raises:" in doc, "what becomes of an error"
    assert ("Args:" in doc) == bool(signature.parameters)
    assert ("Returns:" in doc) == (signature.return_annotation not in ("None", None))


@hooks
def test_the_reference_shows_each_hook_with_its_exact_signature(hook: Hook) -> None:
    page = (ROOT / "docs" / "hooks.md").read_text()
    keyword = "async def" if hook.is_async else "def"
    assert f"### `{hook.name}`" in page
    assert f"{keyword} {hook.name}{inspect.signature(hook.spec)}" in page.replace("'", "").replace('"', "")


@hooks
def test_each_hook_has_a_test(hook: Hook) -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "unit" / "plugin").rglob("*.py"))
    assert hook.name in tests
