"""What is read of a tool's docstring."""

from __future__ import annotations

import pytest

from lash_host.plugin.docstrings import parameter_descriptions, summary

FULL = """Remember one line,
    for this session.

    More that the model need not know.

    Args:
        text: The line
            to keep, with: colons.
        times (int, optional): How often.
        **rest: Anything.

        last:
            On its own line.
        silent:

    Returns:
        text: not a parameter.
    """


def test_the_first_paragraph_is_the_summary():
    assert summary(FULL) == "Remember one line, for this session."


@pytest.mark.parametrize("docstring", [None, "", "   ", "Args:\n    text: The line."])
def test_there_may_be_no_summary(docstring):
    assert summary(docstring) == ""


def test_parameters_are_described():
    assert parameter_descriptions(FULL) == {
        "text": "The line to keep, with: colons.",
        "times": "How often.",
        "rest": "Anything.",
        "last": "On its own line.",
    }


@pytest.mark.parametrize("heading", ["Args", "Arguments", "Parameters"])
def test_the_section_may_be_called_otherwise(heading):
    assert parameter_descriptions(f"Do.\n\n{heading}:\n  text: The line.") == {"text": "The line."}


def test_other_styles_are_left_alone():
    assert parameter_descriptions("Do.\n\n:param text: The line.") == {}
    assert parameter_descriptions(None) == {}
