"""The conformance kit hides no test of its own, and the page says which test stands for which case."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lash_host.testing import conformance
from lash_host.testing.conformance import StoreConformance, StoreSuite

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "store.md").read_text()
SUITES = [base for base in StoreConformance.__bases__ if issubclass(base, StoreSuite)]
CASES = [f"RP{number}" for number in range(1, 33)]


def own_tests(suite: type) -> dict[str, Callable[..., None]]:
    return {name: value for name, value in vars(suite).items() if name.startswith("test_")}


def test_the_sum_holds_every_suite() -> None:
    exported = {getattr(conformance, name) for name in conformance.__all__ if name.endswith("Conformance")}
    assert exported == {*SUITES, StoreConformance}


def test_no_suite_hides_a_test_of_another() -> None:
    names = Counter(name for suite in SUITES for name in own_tests(suite))
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("case", CASES)
def test_the_page_names_the_tests_of_each_case(case: str) -> None:
    tests = {
        name
        for suite in SUITES
        for name, test in own_tests(suite).items()
        if re.search(rf"\b{case}\b", inspect.getdoc(test) or "")
    }
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {case} |")]
    assert tests
    assert set(re.findall(r"`(test_\w+)`", row)) == tests


def test_the_page_names_every_suite() -> None:
    section = PAGE.split("## Conformance")[1]
    assert {suite.__name__ for suite in SUITES} <= set(re.findall(r"`(\w+Conformance)`", section))
