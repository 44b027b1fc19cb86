"""The durable runtime for LLM agents: every capability is a plugin, every session a database you can query.

Importing this package loads nothing else: each public name is imported when it is first used. Type checkers read the
same names from `__init__.pyi`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

_MODULES: Final = {
    "lash_host.bootstrap": "LashHost open",
    "lash_host.contracts.clock": "Clock SystemClock",
    "lash_host.contracts.effect_host": "EffectHost",
    "lash_host.contracts.process": "ProcessEngine",
    "lash_host.contracts.protocol": (
        "BeforeModelCall DriverInput ProtocolMaterialization ProtocolRuntimeContext SwitchAgentFrame TurnProtocol"
    ),
    "lash_host.contracts.provider": "ModelProvider",
    "lash_host.contracts.services": "DirectCompletions",
    "lash_host.contracts.store": "DeletionReport QueryResult SessionStore StoreInfo UsageView",
    "lash_host.contracts.tool": "ToolCallContext ToolProvider",
    "lash_host.domain.catalog": "ToolState ToolStateEntry",
    "lash_host.domain.compaction": "ContextCompaction",
    "lash_host.domain.directive": (
        "AbortTurn Directive EmitEvents EnqueueMessages PluginMessage ReplaceToolArguments ShortCircuitTool"
    ),
    "lash_host.domain.effect": "EffectEnvelope EffectKind EffectScope",
    "lash_host.domain.frame": "AgentFrame AgentFrameAssignment",
    "lash_host.domain.message": (
        "ImagePart Message MessageOrigin Part ReasoningPart Role TextPart ToolCallPart ToolResultPart"
    ),
    "lash_host.domain.model": (
        "ModelEvent ModelPrice ModelRequest ModelResponse ModelSpec ReasoningDelta TerminalReason "
        "TextDelta estimate_tokens"
    ),
    "lash_host.domain.observation": (
        "AssistantProseDelta Error ModelRequestStarted PluginRuntime ReasoningProseDelta RetryScheduled "
        "ToolCallCompleted ToolCallStarted TurnActivity TurnFinished UsageReported"
    ),
    "lash_host.domain.plugin_state": "PluginSnapshotMeta",
    "lash_host.domain.policy": "PluginOptions ProtocolTurnOptions SessionPolicy ToolAccess",
    "lash_host.domain.prompt": "PromptContribution PromptLayer PromptSlot",
    "lash_host.domain.protocol": (
        "CallTools CheckpointKind Complete DriverStep StopTurn ToolCallResult TurnDriver TurnView"
    ),
    "lash_host.domain.session": "Residency RuntimeSessionState SessionInfo SessionReadView SessionSnapshot",
    "lash_host.domain.tool": (
        "FailureClass FinishControl SwitchFrameControl ToolCallRecord ToolCancelled ToolContract "
        "ToolDefinition ToolFailure ToolManifest ToolOutput ToolRetry ToolRetryPolicy ToolScheduling "
        "ToolSpec ToolSuccess"
    ),
    "lash_host.domain.turn": (
        "AssistantMessage FinalValue FrameSwitch InputImage InputText StopReason Stopped ToolValue "
        "TurnInput TurnIssue TurnOutcome TurnResult"
    ),
    "lash_host.domain.usage": "SessionUsageReport TokenLedgerEntry TokenUsage",
    "lash_host.domain.value": "JsonObject JsonValue",
    "lash_host.errors": (
        "CompactionError DuplicatePluginId ForeignStore GenerationMismatch HeadRevisionConflict "
        "InvalidCommit InvalidOperationArguments InvalidPluginOptions LashError MissingCredential "
        "MissingExtra MissingProtocol ModelCallError ModelErrorKind PluginError PluginHookError "
        "PluginLoadError PluginSnapshotError QueryFailed QueryRefused RecordVersionError RuntimeFault "
        "SchemaTooNew SessionBindingMismatch SessionBusy SessionClosed SessionLeaseExpired "
        "SessionLeaseLost SettingsError SingletonConflict StaleBranch StoreError StoreLocked "
        "StoreUnreachable StoreUnwritable ToolFailedError ToolStateError TurnAborted TurnCommitConflict UnknownModel "
        "UnknownOperation UnknownPlugin UnknownProvider UnknownSession UsageFault"
    ),
    "lash_host.hookspecs.catalog": "ToolCatalogContext",
    "lash_host.hookspecs.compaction": "CompactionContext",
    "lash_host.hookspecs.config": "SessionConfigChange",
    "lash_host.hookspecs.host": "PluginSessionContext ProcessEngineContext",
    "lash_host.hookspecs.operation": "OperationContext PluginOperation",
    "lash_host.hookspecs.prompt": "PromptContext",
    "lash_host.hookspecs.protocol": "CodeExecutor",
    "lash_host.hookspecs.snapshot": "SnapshotReader SnapshotWriter",
    "lash_host.hookspecs.stream": "ResponseTransform StreamChunk StreamFinishedContext",
    "lash_host.hookspecs.tool_call": "AfterToolCallContext BeforeToolCallContext ToolProjectionContext",
    "lash_host.hookspecs.turn": (
        "AfterTurnContext BeforeTurnContext CheckpointContext LifecycleEvent PreparedContext "
        "SessionConfigChanged SessionReadyContext SessionRestored TurnFinalized TurnPersisted "
        "TurnTransformContext"
    ),
    "lash_host.markers": "hookimpl",
    "lash_host.plugin.discovery": "InstalledPlugin",
    "lash_host.plugin.findings": "PluginFinding",
    "lash_host.plugin.host": "PluginHost",
    "lash_host.plugin.session": "PluginSession",
    "lash_host.plugin.session_plugin": "SessionPlugin",
    "lash_host.plugin.tool_decorator": "tool tool_provider",
    "lash_host.plugin.tool_function": "FunctionToolProvider",
    "lash_host.runtime.runtime": "LashRuntime",
    "lash_host.settings": "Settings load_settings",
    "lash_host.usage.analytics": "UsageAnalytics",
}
_ORIGIN: Final = {name: module for module, names in _MODULES.items() for name in names.split()}

__version__: Final = "0.1.0"

__all__ = sorted(_ORIGIN)  # noqa: PLE0605  a list, made of the table


def __getattr__(name: str) -> object:
    module = _ORIGIN.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
