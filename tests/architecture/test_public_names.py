"""Every public name is listed, typed, documented and importable."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lash_host

PACKAGE = Path(lash_host.__file__).parent


def test_every_public_name_can_be_imported() -> None:
    for name in lash_host.__all__:
        assert getattr(lash_host, name) is not None


def test_type_checkers_see_the_same_names_as_programs() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    assert sorted(alias.asname for node in imports for alias in node.names) == lash_host.__all__


@pytest.mark.parametrize("name", lash_host.__all__)
def test_public_classes_and_functions_are_documented(name: str) -> None:
    value = getattr(lash_host, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = lash_host.nonsense


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import lash_host, sys; print([m for m in ('pydantic', 'sqlalchemy', 'duckdb', 'pluggy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_modules_say_what_is_in_them_and_what_is_public() -> None:
    for info in pkgutil.walk_packages([str(PACKAGE)], "lash_host."):
        module = importlib.import_module(info.name)
        assert module.__doc__, info.name
        if not info.ispkg and not info.name.endswith("__main__"):
            assert hasattr(module, "__all__"), info.name


def test_files_and_functions_stay_small() -> None:
    too_long = []
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        lines = text.count("\n")
        if lines > 450 and path.name != "errors.py":  # the error tree is a list
            too_long.append(f"{path.name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno
                if length > 60:
                    too_long.append(f"{path.name}:{node.lineno} {node.name}: {length} lines")
    assert not too_long
