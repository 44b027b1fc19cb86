"""Writes docs/hooks.md from the declarations in `lash_host.hookspecs`: their docstrings are the contract.

Run it after changing a hook: ``python docs/generate_hooks.py``.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from lash_host.hookspecs.table import HOOKS, Hook

PAGE = Path(__file__).with_name("hooks.md")

MODES = """\
| Mode | How implementations are called |
|---|---|
| collect | one after another in plugin order; the first error stops |
| chain | each gets what the one before gave |
| first | the first non-empty answer wins; an error ends it |
| notify | told, in order |
| concurrent | told at once, awaited together; errors are logged |
| singleton | at most one plugin may implement it; two are an error that names both |
"""

INTRO = f"""\
# Hooks

<!-- Written by docs/generate_hooks.py from the declarations. Change those. -->

A plugin implements a hook by a function, or a method of its session plugin, of the hook's name, marked with
`@lash_host.hookimpl`. It may leave out parameters it does not need. Where a hook is declared `async def`, an
implementation may be either; where it is declared `def`, a coroutine function is refused when the plugin is loaded.

Plugins are called in plugin order: `plugins.order` of the settings first, then by plugin id. Within one hook,
`@hookimpl(priority=…)` (higher comes first), `tryfirst=True` and `trylast=True` change that order.

Every failure names the plugin and the hook. Every call is timed; `usage.hook_calls` shows how often, how long and how
many errors, by turn.

{MODES}"""

SCOPES = {
    "host": "Implemented by the *host plugin*: what the entry point loads, a module or an object. It lives as long as "
    "the host.",
    "session": "Implemented by the *session plugin*: what `lash_create_session_plugin` returned for the session.",
}


def page() -> str:
    """Give the page's text."""
    parts = [INTRO]
    for scope, about in SCOPES.items():
        parts.append(f"## Scope {scope}\n\n{about}\n")
        parts.extend(_section(hook) for hook in HOOKS.values() if hook.scope == scope)
    return "\n".join(parts)


def signature(hook: Hook) -> str:
    """Give the declaration as it stands in the source, annotations unquoted."""
    keyword = "async def" if hook.is_async else "def"
    return f"{keyword} {hook.name}{inspect.signature(hook.spec)}".replace("'", "")


def _section(hook: Hook) -> str:
    doc = inspect.getdoc(hook.spec) or ""
    body = re.sub(r"^(Args|Returns|Raises):$", r"**\1**\n", doc, flags=re.MULTILINE)
    body = re.sub(r"\n    (\w+(?:, \w+)*): ", r"\n- `\1`: ", body)
    body = re.sub(r"\n {4,}", "\n", body)
    return f"### `{hook.name}`\n\n```python\n{signature(hook)}\n```\n\nMode: {hook.mode}.\n\n{body}\n"


if __name__ == "__main__":
    PAGE.write_text(page())
