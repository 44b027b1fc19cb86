"""The house rules about hooks."""

from __future__ import annotations

import inspect
import runpy
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


def test_the_reference_is_what_the_declarations_say() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate_hooks.py"))
    page = (ROOT / "docs" / "hooks.md").read_text()
    assert page == generate["page"](), "run: python docs/generate_hooks.py"
    for hook in HOOKS.values():
        assert f"### `{hook.name}`\n\n```python\n{generate['signature'](hook)}\n```" in page


@hooks
def test_each_hook_has_a_test(hook: Hook) -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "unit" / "plugin").rglob("*.py"))
    assert hook.name in tests
