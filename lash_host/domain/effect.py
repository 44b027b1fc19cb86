"""Effects: what a turn does to the world, named so that its outcome can be recorded and replayed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["EffectEnvelope", "EffectKind", "EffectScope"]


class EffectKind(StrEnum):
    """The kinds of effects."""

    MODEL_CALL = "model_call"
    DIRECT_COMPLETION = "direct"
    TOOL_ATTEMPT = "tool_attempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectScope:
    """Where effects happen: a turn of a session, or an operation outside turns. Ids must not be blank."""

    session_id: str
    scope_id: str

    def __post_init__(self) -> None:
        """Refuse blank ids: two scopes must never share replay keys."""
        if not self.session_id.strip() or not self.scope_id.strip():
            raise ValueError("an effect scope needs a session id and a scope id")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectEnvelope:
    """One effect. Its replay key is the same when the same turn is driven again."""

    scope: EffectScope
    kind: EffectKind
    effect_id: str

    @property
    def replay_key(self) -> str:
        """Session, scope, kind and effect id: unique over all sessions."""
        return f"{self.scope.session_id}:{self.scope.scope_id}:{self.kind.value}:{self.effect_id}"
