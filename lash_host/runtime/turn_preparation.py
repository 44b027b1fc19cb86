"""Before a turn's first model call: its input, the view the model gets, and what before-turn hooks say."""

from __future__ import annotations

from dataclasses import dataclass

from lash_host.domain.commit import content_ref
from lash_host.domain.message import ImagePart, Message, Part, Role, TextPart
from lash_host.domain.turn import InputText, Stopped, StopReason, TurnInput, TurnIssue, check_turn_input
from lash_host.errors import PluginHookError, TurnAborted
from lash_host.hookspecs.turn import BeforeTurnContext, PreparedContext, TurnTransformContext
from lash_host.runtime.interruption import TurnInterrupted
from lash_host.runtime.turn_context import TurnContext

__all__ = ["PreparedTurn", "RefusedTurn", "prepare_turn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTurn:
    """A turn that may start: what the model sees of the session, and the messages the turn begins with."""

    prepared: PreparedContext
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedTurn:
    """A turn that ends before it started, with the messages it leaves in the session; cancelled where no issue is."""

    outcome: Stopped
    issue: TurnIssue | None
    messages: tuple[Message, ...] = ()


async def prepare_turn(turn: TurnContext) -> PreparedTurn | RefusedTurn:
    """Admit the input, then let plugins transform the view and look at the turn.

    Raises:
        TurnAborted: A hook failed: ``context_prepare_turn`` or ``plugin_prepare_turn``.
    """
    refused = _admit(turn)
    if refused is not None:
        return refused
    try:
        return await _ask_plugins(turn)
    except TurnInterrupted:
        outcome = Stopped(stop_reason=StopReason.CANCELLED)
        return RefusedTurn(outcome=outcome, issue=None, messages=(_user_message(turn),))


async def _ask_plugins(turn: TurnContext) -> PreparedTurn | RefusedTurn:
    plugins = turn.session.plugins
    transform = TurnTransformContext(
        session_id=turn.session.session_id,
        turn_id=turn.turn_id,
        state=turn.view,
        turn_input=turn.turn_input,
        last_prompt_usage=turn.view.last_prompt_usage,
        context_window_tokens=turn.policy.model.context_window_tokens,
        completions=turn.completions(),
    )
    try:
        prepared = await turn.unless_cancelled(
            plugins.transform_turn_context(transform, PreparedContext(messages=turn.view.messages)),
            hook="lash_transform_turn_context",
        )
    except PluginHookError as exc:
        raise TurnAborted(str(exc), code="context_prepare_turn") from exc
    before = BeforeTurnContext(
        session_id=turn.session.session_id,
        turn_id=turn.turn_id,
        turn_index=turn.turn_index,
        state=turn.view,
        turn_input=turn.turn_input,
    )
    try:
        fold = await turn.unless_cancelled(plugins.before_turn(before), hook="lash_before_turn")
    except PluginHookError as exc:
        raise TurnAborted(str(exc), code="plugin_prepare_turn") from exc
    turn.emit.plugin_events(fold.events)
    messages = (_user_message(turn), *turn.plugin_messages(fold.messages, after=1))
    if fold.abort is None:
        return PreparedTurn(prepared=prepared, messages=messages)
    abort = fold.abort.value
    issue = TurnIssue(kind="plugin", code=abort.code, message=abort.message, plugin_id=fold.abort.plugin_id)
    return RefusedTurn(outcome=Stopped(stop_reason=StopReason.PLUGIN_ABORT), issue=issue, messages=messages)


def _admit(turn: TurnContext) -> RefusedTurn | None:
    outcome = Stopped(stop_reason=StopReason.INVALID_INPUT)
    wrong = check_turn_input(turn.turn_input, context_window_tokens=turn.policy.model.context_window_tokens)
    if wrong is not None:
        issue = TurnIssue(kind="input_validation", code=wrong.code, message=wrong.message)
        return RefusedTurn(outcome=outcome, issue=issue)
    try:
        turn.session.plugins.protocol.validate_turn_options(turn.options)
    except Exception as exc:  # noqa: BLE001  raising is how a protocol refuses
        plugin_id = turn.session.plugins.protocol_plugin_id
        issue = TurnIssue(kind="input_validation", code="invalid_turn_options", message=str(exc), plugin_id=plugin_id)
        return RefusedTurn(outcome=outcome, issue=issue)
    return None


def _user_message(turn: TurnContext) -> Message:
    return Message(message_id=f"{turn.turn_id}:1", role=Role.USER, parts=tuple(_parts(turn, turn.turn_input)))


def _parts(turn: TurnContext, turn_input: TurnInput) -> list[Part]:
    """Join neighbouring texts, and put images where the commit will find their bytes."""
    parts: list[Part] = []
    for item in turn_input.items:
        if isinstance(item, InputText):
            if parts and isinstance(parts[-1], TextPart):
                parts[-1] = TextPart(text=parts[-1].text + item.text)
            elif item.text:
                parts.append(TextPart(text=item.text))
        else:
            ref = content_ref(item.data)
            turn.record.blobs[ref] = item.data
            turn.session.blobs[ref] = item.data
            parts.append(ImagePart(blob_ref=ref, media_type=item.media_type))
    return parts
