"""offline/script:PATH: replays a JSON file of answers, errors, delays and usage.

The file holds ``{"replies": [...]}``, one reply for each request of a session:

```json
{"replies": [
  {"tool_calls": [{"name": "read_file", "arguments": {"path": "README.md"}}]},
  {"text": "It says hello.", "delay_s": 0.2, "usage": {"input_tokens": 900, "output_tokens": 12}},
  {"error": {"kind": "quota", "message": "slow down", "retryable": true, "retry_after_s": 1}},
  {"text": "half an ans", "error_after": {"kind": "stream", "message": "connection lost", "retryable": true}}
]}
```

Every session plays the file from its beginning. The first request that a session makes of this process gets the reply
whose number is that of the assistant messages the conversation already has, so that a turn which is taken up again
after a crash goes on where it was; each further request, a retry too, gets the next. After the last reply every request
fails, and the script does not start over. The file is read at every request, and a relative path is one from the
current folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from lash_host.domain.model import TerminalReason
from lash_host.domain.usage import TokenUsage
from lash_host.domain.value import JsonObject, Value
from lash_host.errors import ModelCallError, ModelErrorKind

__all__ = ["Script", "ScriptedCall", "ScriptedError", "ScriptedReply", "load_script"]


class ScriptedCall(Value):
    """A tool call of a reply.

    Attributes:
        name: The tool.
        arguments: Its arguments.
        arguments_error: Makes the call one whose arguments were no JSON object.
        call_id: Its id; without one it gets one that no other call of the session has.
    """

    name: str = Field(min_length=1)
    arguments: JsonObject = Field(default_factory=dict)
    arguments_error: str | None = None
    call_id: str | None = Field(default=None, min_length=1)


class ScriptedError(Value):
    """A failure; the fields are those of `ModelCallError`. The wait asked for is in seconds."""

    message: str = "scripted failure"
    kind: ModelErrorKind = "unknown"
    retryable: bool = False
    status: int | None = None
    retry_after_s: float | None = Field(default=None, ge=0)

    def as_exception(self) -> ModelCallError:
        """Make the error to raise."""
        return ModelCallError(
            self.message,
            kind=self.kind,
            retryable=self.retryable,
            status=self.status,
            retry_after_s=self.retry_after_s,
        )


class ScriptedReply(Value):
    """What one request is answered with. It says at least one of text, reasoning, calls, and an error.

    Attributes:
        text: The answer.
        reasoning: Reasoning before it.
        tool_calls: Tool calls after it.
        delay_s: Seconds before anything comes.
        piece_delay_s: Seconds before each word.
        usage: What the request consumed; without it, an estimate.
        terminal_reason: Why the model stopped; without it, ``tool_use`` where there are calls and ``stop`` elsewhere.
        error: Fails the request.
        error_after: Fails the request when reasoning and text have been streamed.
    """

    text: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ScriptedCall, ...] = ()
    delay_s: float = Field(default=0.0, ge=0)
    piece_delay_s: float = Field(default=0.0, ge=0)
    usage: TokenUsage | None = None
    terminal_reason: TerminalReason | None = None
    error: ScriptedError | None = None
    error_after: ScriptedError | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        answers = self.text is not None or self.reasoning is not None or bool(self.tool_calls)
        if self.error is not None and (answers or self.error_after is not None):
            raise ValueError("a reply that is an error cannot answer too; use error_after to fail half-way")
        if not answers and self.error is None and self.error_after is None and self.terminal_reason is None:
            raise ValueError("a reply needs text, reasoning, tool_calls, error, error_after or terminal_reason")
        return self


class Script(Value):
    """A script file."""

    replies: tuple[ScriptedReply, ...]


def load_script(path: str) -> Script:
    """Read and check a script file.

    Raises:
        ModelCallError: It cannot be read, or is not a script; says where and why.
    """
    try:
        content = Path(path).expanduser().read_bytes()
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ModelCallError(f"script {path}: {reason}", kind="validation") from error
    try:
        return Script.model_validate_json(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(step) for step in item['loc']) or 'file'}: {item['msg']}" for item in error.errors()[:3]
        )
        raise ModelCallError(f"script {path}: {problems}", kind="validation") from error
