"""The whole error tree.

LashError                        every error a user of this package can meet
├── UsageFault                   the caller asked for something that cannot be (wrong name, wrong value)
│   ├── SettingsError            a settings file or variable
│   ├── UnknownSession           a session id the store does not know
│   ├── UnknownProvider          a provider id nobody registered
│   ├── UnknownModel             a model id its provider refuses
│   ├── UnknownPlugin            a plugin id that is not installed
│   ├── InvalidPluginOptions     options a plugin does not accept
│   ├── UnknownOperation         a plugin operation that the session does not have
│   ├── InvalidOperationArguments  arguments that do not fit a plugin operation
│   ├── QueryRefused             SQL that is not a read-only query
│   └── MissingExtra             a part of lash-host that was not installed with it; says how to
├── MissingCredential            a provider has no key; says which variable to set
├── PluginError                  names the plugin
│   ├── PluginLoadError          import or registration failed
│   ├── DuplicatePluginId        two distributions claim one id
│   ├── SingletonConflict        two plugins implement a hook that allows one
│   ├── MissingProtocol          no plugin implements `lash_protocol`
│   ├── PluginHookError          a hook implementation raised or answered nonsense
│   └── PluginSnapshotError      capture or restore of plugin state failed
├── ToolStateError               a tool state that does not fit the registry
│   └── GenerationMismatch
├── StoreError                   the store said no
│   ├── StoreLocked              another process owns the database file
│   ├── ForeignStore             the file belongs to another program or is damaged
│   ├── SchemaTooNew             written by a newer lash-host
│   ├── StoreUnreachable         no connection to the database server, or not any more
│   ├── StoreUnwritable          read-only place, full disk, lost permission
│   ├── HeadRevisionConflict     another writer advanced the session
│   ├── SessionLeaseExpired      the fence is no longer the live one
│   ├── TurnCommitConflict       the same turn id with other content
│   ├── SessionBindingMismatch   a commit for another session than the handle's
│   ├── QueuedWorkClaimExpired   a claim of queued work that is not held any more
│   ├── TurnInputClaimExpired    a claim of turn input that is not held any more
│   ├── TurnInputSourceKeyConflict  a source key used again for other input
│   ├── TurnInputIdConflict      an input id used again for other input
│   ├── InvalidQueuedWork        an empty batch, or one that mixes classes of work
│   ├── AttachmentNotFound       no reference of this session to such bytes
│   ├── InvalidCommit            a commit that would break a graph invariant
│   ├── RecordVersionError       a stored record of a version this program does not read
│   └── QueryFailed              a read-only query the database refused
├── RuntimeFault                 a session or turn could not go on; nothing was committed
│   ├── SessionBusy              another runtime runs a turn in this session
│   ├── SessionLeaseLost         the lease was lost during a turn
│   ├── SessionClosed            the runtime object was closed
│   ├── StaleBranch              a required ancestor is not on the active path
│   ├── TurnAborted              a turn failed before its commit; `code` says where
│   └── CompactionError          no frame was opened
├── ToolFailedError              a tool says how its call failed; the model is shown it
└── ModelCallError               a model call failed; carries kind and retry facts
"""

from __future__ import annotations

from typing import Literal

__all__ = [
    "AttachmentNotFound",
    "CompactionError",
    "DuplicatePluginId",
    "ForeignStore",
    "GenerationMismatch",
    "HeadRevisionConflict",
    "InvalidCommit",
    "InvalidOperationArguments",
    "InvalidPluginOptions",
    "InvalidQueuedWork",
    "LashError",
    "MissingCredential",
    "MissingExtra",
    "MissingProtocol",
    "ModelCallError",
    "ModelErrorKind",
    "PluginError",
    "PluginHookError",
    "PluginLoadError",
    "PluginSnapshotError",
    "QueryFailed",
    "QueryRefused",
    "QueuedWorkClaimExpired",
    "RecordVersionError",
    "RuntimeFault",
    "SchemaTooNew",
    "SessionBindingMismatch",
    "SessionBusy",
    "SessionClosed",
    "SessionLeaseExpired",
    "SessionLeaseLost",
    "SettingsError",
    "SingletonConflict",
    "StaleBranch",
    "StoreError",
    "StoreLocked",
    "StoreUnreachable",
    "StoreUnwritable",
    "ToolFailedError",
    "ToolStateError",
    "TurnAborted",
    "TurnCommitConflict",
    "TurnInputClaimExpired",
    "TurnInputIdConflict",
    "TurnInputSourceKeyConflict",
    "UnknownModel",
    "UnknownOperation",
    "UnknownPlugin",
    "UnknownProvider",
    "UnknownSession",
    "UsageFault",
]

ModelErrorKind = Literal[
    "transport", "timeout", "http", "stream", "auth", "validation", "quota", "unsupported", "context_overflow",
    "content_filter", "empty_response", "unknown",
]  # fmt: skip


class LashError(Exception):
    """Every error a user of this package can meet.

    `code` is a stable word to match on, `retryable` says whether the same call may work later,
    and the facts of the case are attributes.
    """

    code: str = "lash_error"
    retryable: bool = False


# --- what the caller asked for cannot be --------------------------------------------------------


class UsageFault(LashError):
    """The caller asked for something that cannot be."""

    code = "usage"


class SettingsError(UsageFault):
    """A settings file or variable holds an unknown key or a value of the wrong shape."""

    code = "invalid_setting"

    def __init__(self, problem: str, *, source: str, key: str | None = None) -> None:
        super().__init__(f"{source}: {problem}")
        self.problem, self.source, self.key = problem, source, key


class UnknownSession(UsageFault):
    """The store has no session of this id."""

    code = "unknown_session"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no session {session_id!r} in this store")
        self.session_id = session_id


class UnknownProvider(UsageFault):
    """No plugin registered a provider of this id."""

    code = "unknown_provider"

    def __init__(self, provider_id: str, *, known: tuple[str, ...]) -> None:
        super().__init__(f"no model provider {provider_id!r}; known: {', '.join(known) or 'none'}")
        self.provider_id, self.known = provider_id, known


class UnknownModel(UsageFault):
    """The provider refuses this model id."""

    code = "unknown_model"

    def __init__(self, provider_id: str, model_id: str, *, known: tuple[str, ...] = ()) -> None:
        hint = f"; known: {', '.join(known)}" if known else ""
        super().__init__(f"provider {provider_id!r} has no model {model_id!r}{hint}")
        self.provider_id, self.model_id, self.known = provider_id, model_id, known


class UnknownPlugin(UsageFault):
    """No installed plugin has this id."""

    code = "unknown_plugin"

    def __init__(self, plugin_id: str, *, known: tuple[str, ...]) -> None:
        super().__init__(f"no plugin {plugin_id!r} is installed; installed: {', '.join(known) or 'none'}")
        self.plugin_id, self.known = plugin_id, known


class InvalidPluginOptions(UsageFault):
    """A plugin does not accept the options it was given."""

    code = "invalid_plugin_options"

    def __init__(self, plugin_id: str, problem: str) -> None:
        super().__init__(f"options of plugin {plugin_id!r}: {problem}")
        self.plugin_id, self.problem = plugin_id, problem


class UnknownOperation(UsageFault):
    """No plugin of this session has an operation of this name and kind."""

    code = "unknown_operation"

    def __init__(self, name: str, *, kind: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no plugin {kind} {name!r} in this session; known: {', '.join(known) or 'none'}")
        self.name, self.kind, self.known = name, kind, known


class InvalidOperationArguments(UsageFault):
    """A plugin operation was given arguments that do not fit its schema."""

    code = "invalid_operation_arguments"

    def __init__(self, name: str, *, problem: str) -> None:
        super().__init__(f"arguments of operation {name!r}: {problem}")
        self.name, self.problem = name, problem


class QueryRefused(UsageFault):
    """Only a single read-only query is run against a store."""

    code = "query_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"refused: {reason}")
        self.reason = reason


class MissingExtra(UsageFault):
    """What was asked for needs a package that an extra of lash-host brings."""

    code = "missing_extra"

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(f'{what} needs the extra {extra!r}: pip install "lash-host[{extra}]"')
        self.what, self.extra = what, extra


class MissingCredential(LashError):
    """A provider has no key."""

    code = "missing_credential"

    def __init__(self, provider_id: str, *, variable: str) -> None:
        super().__init__(f"provider {provider_id!r} needs a key: set the environment variable {variable}")
        self.provider_id, self.variable = provider_id, variable


# --- plugins ------------------------------------------------------------------------------------


class PluginError(LashError):
    """A plugin is at fault; `plugin_id` says which."""

    code = "plugin"

    def __init__(self, message: str, *, plugin_id: str) -> None:
        super().__init__(message)
        self.plugin_id = plugin_id


class PluginLoadError(PluginError):
    """A plugin could not be imported or registered."""

    code = "plugin_load"

    def __init__(self, plugin_id: str, problem: str, *, distribution: str | None = None) -> None:
        origin = f" of {distribution}" if distribution else ""
        super().__init__(f"plugin {plugin_id!r}{origin}: {problem}", plugin_id=plugin_id)
        self.problem, self.distribution = problem, distribution


class DuplicatePluginId(PluginError):
    """Two distributions claim one plugin id."""

    code = "duplicate_plugin_id"

    def __init__(self, plugin_id: str, *, distributions: tuple[str, ...]) -> None:
        super().__init__(f"plugin id {plugin_id!r} is claimed by {' and '.join(distributions)}", plugin_id=plugin_id)
        self.distributions = distributions


class SingletonConflict(PluginError):
    """Two plugins implement a hook that allows one."""

    code = "singleton_conflict"

    def __init__(self, hook: str, *, plugin_id: str, existing_plugin_id: str, what: str | None = None) -> None:
        super().__init__(
            f"duplicate {what or hook}: {plugin_id!r} conflicts with {existing_plugin_id!r}", plugin_id=plugin_id
        )
        self.hook, self.existing_plugin_id = hook, existing_plugin_id


class MissingProtocol(LashError):
    """No plugin of this session implements `lash_protocol`."""

    code = "missing_protocol"

    def __init__(self) -> None:
        super().__init__("missing protocol: install a plugin that implements it, such as lash-host-protocol-default")


class PluginHookError(PluginError):
    """A hook implementation raised, or answered something the hook does not allow."""

    code = "plugin_hook"

    def __init__(self, *, plugin_id: str, hook: str, problem: str) -> None:
        super().__init__(f"plugin {plugin_id!r} failed in {hook}: {problem}", plugin_id=plugin_id)
        self.hook, self.problem = hook, problem


class PluginSnapshotError(PluginError):
    """Capturing or restoring a plugin's state failed."""

    code = "plugin_snapshot"

    def __init__(self, *, plugin_id: str, action: Literal["capture", "restore"], problem: str) -> None:
        super().__init__(f"plugin {plugin_id!r}: {action} of its state failed: {problem}", plugin_id=plugin_id)
        self.action, self.problem = action, problem


# --- tools --------------------------------------------------------------------------------------


class ToolFailedError(LashError):
    """Raised by a tool to say how its call failed. The model is shown the message; the turn goes on.

    Args:
        message: What the model is told.
        code: A stable word for records and reports.
        retry_after_ms: Milliseconds to wait before the host tries again; implies ``retryable``.
        retryable: Whether the same call may work later. The host tries again as the tool's retry policy allows.
    """

    code = "tool_error"

    def __init__(
        self, message: str, *, code: str = "tool_error", retry_after_ms: int | None = None, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.retry_after_ms = message, code, retry_after_ms
        self.retryable = retryable or retry_after_ms is not None


class ToolStateError(LashError):
    """A tool state does not fit this session's tool registry."""

    code = "tool_state"


class GenerationMismatch(ToolStateError):
    """The tool state was edited from another generation than the registry's."""

    code = "tool_state_generation"
    retryable = True

    def __init__(self, *, expected: int, actual: int) -> None:
        super().__init__(f"generation mismatch: expected {expected}, actual {actual}")
        self.expected, self.actual = expected, actual


# --- the store ----------------------------------------------------------------------------------


class StoreError(LashError):
    """The store could not do what it was asked."""

    code = "store"


class StoreLocked(StoreError):
    """Another process owns the database file."""

    code = "store_locked"
    retryable = True

    def __init__(self, path: str, *, holder: str) -> None:
        super().__init__(f"{path} is held by {holder}")
        self.path, self.holder = path, holder


class ForeignStore(StoreError):
    """The database belongs to another program, or is not a database."""

    code = "foreign_store"

    def __init__(self, url: str, *, problem: str) -> None:
        super().__init__(f"{url} is not a lash-host store: {problem}")
        self.url, self.problem = url, problem


class SchemaTooNew(StoreError):
    """The store was written by a newer lash-host than this one."""

    code = "schema_too_new"

    def __init__(self, url: str, *, found: int, known: int) -> None:
        super().__init__(f"{url} has schema version {found}; this lash-host knows versions up to {known}: upgrade it")
        self.url, self.found, self.known = url, found, known


class StoreUnreachable(StoreError):
    """There is no connection to the database server, or it was lost; what was under way may or may not have landed."""

    code = "store_unreachable"

    def __init__(self, url: str, *, problem: str, retryable: bool = True) -> None:
        super().__init__(f"{url} cannot be reached: {problem}")
        self.url, self.problem, self.retryable = url, problem, retryable


class StoreUnwritable(StoreError):
    """The store's place cannot be written: read-only, full, or without permission."""

    code = "store_unwritable"

    def __init__(self, url: str, *, problem: str) -> None:
        super().__init__(f"{url} cannot be written: {problem}")
        self.url, self.problem = url, problem


class HeadRevisionConflict(StoreError):
    """Another writer advanced the session head first."""

    code = "head_revision_conflict"
    retryable = True

    def __init__(self, *, session_id: str, expected: int, actual: int) -> None:
        super().__init__(f"session {session_id!r} is at revision {actual}, expected {expected}")
        self.session_id, self.expected, self.actual = session_id, expected, actual


class SessionLeaseExpired(StoreError):
    """The fence presented is not that of the live session execution lease."""

    code = "session_lease_expired"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"the execution lease of session {session_id!r} is not held by this caller any more")
        self.session_id = session_id


class TurnCommitConflict(StoreError):
    """A turn id was committed before with other content."""

    code = "turn_commit_conflict"

    def __init__(self, *, session_id: str, turn_id: str) -> None:
        super().__init__(f"turn {turn_id!r} of session {session_id!r} was committed before with other content")
        self.session_id, self.turn_id = session_id, turn_id


class SessionBindingMismatch(StoreError):
    """A commit names another session than its parts do."""

    code = "session_binding_mismatch"

    def __init__(self, *, bound_session_id: str, attempted_session_id: str) -> None:
        super().__init__(f"bound to session {bound_session_id!r}, attempted {attempted_session_id!r}")
        self.bound_session_id, self.attempted_session_id = bound_session_id, attempted_session_id


class QueuedWorkClaimExpired(StoreError):
    """A claim of queued work is not held any more: somebody claimed the work again, or it is gone."""

    code = "queued_work_claim_expired"

    def __init__(self, *, session_id: str, claim_id: str) -> None:
        super().__init__(f"claim {claim_id!r} of queued work of session {session_id!r} is not held any more")
        self.session_id, self.claim_id = session_id, claim_id


class TurnInputClaimExpired(StoreError):
    """A claim of turn input is not held any more: somebody claimed the input again, or it is gone."""

    code = "turn_input_claim_expired"

    def __init__(self, *, session_id: str, claim_id: str) -> None:
        super().__init__(f"claim {claim_id!r} of turn input of session {session_id!r} is not held any more")
        self.session_id, self.claim_id = session_id, claim_id


class TurnInputSourceKeyConflict(StoreError):
    """A source key was used before for other turn input."""

    code = "turn_input_source_key_conflict"

    def __init__(self, *, session_id: str, source_key: str, existing_input_id: str) -> None:
        super().__init__(
            f"source key {source_key!r} of session {session_id!r} was used before for other input "
            f"({existing_input_id!r})"
        )
        self.session_id, self.source_key, self.existing_input_id = session_id, source_key, existing_input_id


class TurnInputIdConflict(StoreError):
    """The id asked for is that of other turn input of the session."""

    code = "turn_input_id_conflict"

    def __init__(self, *, session_id: str, input_id: str) -> None:
        super().__init__(f"session {session_id!r} has other input under the id {input_id!r}")
        self.session_id, self.input_id = session_id, input_id


class InvalidQueuedWork(StoreError):
    """A batch of queued work is empty, or mixes classes of work."""

    code = "invalid_queued_work"

    def __init__(self, *, session_id: str, problem: str) -> None:
        super().__init__(f"queued work of session {session_id!r} refused: {problem}")
        self.session_id, self.problem = session_id, problem


class AttachmentNotFound(StoreError):
    """The session holds no reference to this attachment, whether or not its bytes exist."""

    code = "attachment_not_found"

    def __init__(self, *, session_id: str, attachment_id: str) -> None:
        super().__init__(f"session {session_id!r} has no attachment {attachment_id!r}")
        self.session_id, self.attachment_id = session_id, attachment_id


class InvalidCommit(StoreError):
    """A commit would break an invariant of the session graph."""

    code = "invalid_commit"

    def __init__(self, *, session_id: str, problem: str) -> None:
        super().__init__(f"commit of session {session_id!r} refused: {problem}")
        self.session_id, self.problem = session_id, problem


class RecordVersionError(StoreError):
    """A stored record has a schema version this program does not read."""

    code = "record_version"

    def __init__(self, kind: str, *, found: object, expected: int) -> None:
        super().__init__(f"stored {kind} has schema version {found!r}, this lash-host reads {expected}")
        self.kind, self.found, self.expected = kind, found, expected


class QueryFailed(StoreError):
    """The database refused a read-only query; the message is the database's own."""

    code = "query_failed"


# --- sessions and turns -------------------------------------------------------------------------


class RuntimeFault(LashError):
    """A session or a turn could not go on; nothing was committed."""

    code = "runtime"


class SessionBusy(RuntimeFault):
    """Another runtime holds the session's execution lease."""

    code = "session_execution_busy"
    retryable = True

    def __init__(self, session_id: str, *, holder: str) -> None:
        super().__init__(f"session {session_id!r} is running a turn elsewhere (held by {holder})")
        self.session_id, self.holder = session_id, holder


class SessionLeaseLost(RuntimeFault):
    """The session's execution lease was lost during a turn; the turn was not committed."""

    code = "session_execution_lease_lost"
    retryable = True

    def __init__(self, session_id: str) -> None:
        super().__init__(f"the execution lease of session {session_id!r} was lost; the turn was not committed")
        self.session_id = session_id


class SessionClosed(RuntimeFault):
    """The runtime object was closed."""

    code = "session_closed"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id!r} was closed; open it again with LashHost.session")
        self.session_id = session_id


class StaleBranch(RuntimeFault):
    """A required ancestor is not on the session's active path."""

    code = "stale_branch"

    def __init__(self, *, required_node_id: str, current_leaf_node_id: str | None) -> None:
        super().__init__(f"node {required_node_id!r} is not on the active path (leaf {current_leaf_node_id!r})")
        self.required_node_id, self.current_leaf_node_id = required_node_id, current_leaf_node_id


class TurnAborted(RuntimeFault):
    """A turn failed before its commit. `code` says in which step."""

    def __init__(self, message: str, *, code: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.code, self.retryable = code, retryable


class CompactionError(RuntimeFault):
    """Compaction failed; the session is unchanged."""

    code = "compaction_failed"


class ModelCallError(LashError):
    """A model call failed.

    Providers raise it so that retries and reports know what happened.

    Args:
        message: What the provider said, without secrets.
        kind: What sort of failure it was.
        retryable: Whether the same request may succeed later.
        status: HTTP status, where there was one.
        retry_after_s: Seconds the provider asked to wait.
        raw: The provider's own answer, shortened.
    """

    code: str = "model_call_failed"

    def __init__(
        self,
        message: str,
        *,
        kind: ModelErrorKind = "unknown",
        retryable: bool = False,
        status: int | None = None,
        retry_after_s: float | None = None,
        raw: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: ModelErrorKind = kind
        self.retryable, self.status, self.retry_after_s, self.raw = retryable, status, retry_after_s, raw
