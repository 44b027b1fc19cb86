from typing import Final

from lash_host.bootstrap import (
    LashHost as LashHost,
)
from lash_host.bootstrap import (
    open as open,
)
from lash_host.contracts.clock import (
    Clock as Clock,
)
from lash_host.contracts.clock import (
    SystemClock as SystemClock,
)
from lash_host.contracts.effect_host import (
    EffectHost as EffectHost,
)
from lash_host.contracts.process import (
    ProcessEngine as ProcessEngine,
)
from lash_host.contracts.protocol import (
    BeforeModelCall as BeforeModelCall,
)
from lash_host.contracts.protocol import (
    DriverInput as DriverInput,
)
from lash_host.contracts.protocol import (
    ProtocolMaterialization as ProtocolMaterialization,
)
from lash_host.contracts.protocol import (
    ProtocolRuntimeContext as ProtocolRuntimeContext,
)
from lash_host.contracts.protocol import (
    SwitchAgentFrame as SwitchAgentFrame,
)
from lash_host.contracts.protocol import (
    TurnProtocol as TurnProtocol,
)
from lash_host.contracts.provider import (
    ModelProvider as ModelProvider,
)
from lash_host.contracts.services import (
    DirectCompletions as DirectCompletions,
)
from lash_host.contracts.store import (
    DeletionReport as DeletionReport,
)
from lash_host.contracts.store import (
    QueryResult as QueryResult,
)
from lash_host.contracts.store import (
    SessionStore as SessionStore,
)
from lash_host.contracts.store import (
    StoreInfo as StoreInfo,
)
from lash_host.contracts.store import (
    UsageView as UsageView,
)
from lash_host.contracts.tool import (
    ToolCallContext as ToolCallContext,
)
from lash_host.contracts.tool import (
    ToolProvider as ToolProvider,
)
from lash_host.domain.catalog import (
    ToolState as ToolState,
)
from lash_host.domain.catalog import (
    ToolStateEntry as ToolStateEntry,
)
from lash_host.domain.compaction import (
    ContextCompaction as ContextCompaction,
)
from lash_host.domain.directive import (
    AbortTurn as AbortTurn,
)
from lash_host.domain.directive import (
    Directive as Directive,
)
from lash_host.domain.directive import (
    EmitEvents as EmitEvents,
)
from lash_host.domain.directive import (
    EnqueueMessages as EnqueueMessages,
)
from lash_host.domain.directive import (
    PluginMessage as PluginMessage,
)
from lash_host.domain.directive import (
    ReplaceToolArguments as ReplaceToolArguments,
)
from lash_host.domain.directive import (
    ShortCircuitTool as ShortCircuitTool,
)
from lash_host.domain.effect import (
    EffectEnvelope as EffectEnvelope,
)
from lash_host.domain.effect import (
    EffectKind as EffectKind,
)
from lash_host.domain.effect import (
    EffectScope as EffectScope,
)
from lash_host.domain.frame import (
    AgentFrame as AgentFrame,
)
from lash_host.domain.frame import (
    AgentFrameAssignment as AgentFrameAssignment,
)
from lash_host.domain.message import (
    ImagePart as ImagePart,
)
from lash_host.domain.message import (
    Message as Message,
)
from lash_host.domain.message import (
    MessageOrigin as MessageOrigin,
)
from lash_host.domain.message import (
    Part as Part,
)
from lash_host.domain.message import (
    ReasoningPart as ReasoningPart,
)
from lash_host.domain.message import (
    Role as Role,
)
from lash_host.domain.message import (
    TextPart as TextPart,
)
from lash_host.domain.message import (
    ToolCallPart as ToolCallPart,
)
from lash_host.domain.message import (
    ToolResultPart as ToolResultPart,
)
from lash_host.domain.model import (
    ModelEvent as ModelEvent,
)
from lash_host.domain.model import (
    ModelPrice as ModelPrice,
)
from lash_host.domain.model import (
    ModelRequest as ModelRequest,
)
from lash_host.domain.model import (
    ModelResponse as ModelResponse,
)
from lash_host.domain.model import (
    ModelSpec as ModelSpec,
)
from lash_host.domain.model import (
    ReasoningDelta as ReasoningDelta,
)
from lash_host.domain.model import (
    TerminalReason as TerminalReason,
)
from lash_host.domain.model import (
    TextDelta as TextDelta,
)
from lash_host.domain.model import (
    estimate_tokens as estimate_tokens,
)
from lash_host.domain.observation import (
    AssistantProseDelta as AssistantProseDelta,
)
from lash_host.domain.observation import (
    Error as Error,
)
from lash_host.domain.observation import (
    ModelRequestStarted as ModelRequestStarted,
)
from lash_host.domain.observation import (
    PluginRuntime as PluginRuntime,
)
from lash_host.domain.observation import (
    ReasoningProseDelta as ReasoningProseDelta,
)
from lash_host.domain.observation import (
    RetryScheduled as RetryScheduled,
)
from lash_host.domain.observation import (
    ToolCallCompleted as ToolCallCompleted,
)
from lash_host.domain.observation import (
    ToolCallStarted as ToolCallStarted,
)
from lash_host.domain.observation import (
    TurnActivity as TurnActivity,
)
from lash_host.domain.observation import (
    TurnFinished as TurnFinished,
)
from lash_host.domain.observation import (
    UsageReported as UsageReported,
)
from lash_host.domain.plugin_state import (
    PluginSnapshotMeta as PluginSnapshotMeta,
)
from lash_host.domain.policy import (
    PluginOptions as PluginOptions,
)
from lash_host.domain.policy import (
    ProtocolTurnOptions as ProtocolTurnOptions,
)
from lash_host.domain.policy import (
    SessionPolicy as SessionPolicy,
)
from lash_host.domain.policy import (
    ToolAccess as ToolAccess,
)
from lash_host.domain.prompt import (
    PromptContribution as PromptContribution,
)
from lash_host.domain.prompt import (
    PromptLayer as PromptLayer,
)
from lash_host.domain.prompt import (
    PromptSlot as PromptSlot,
)
from lash_host.domain.protocol import (
    CallTools as CallTools,
)
from lash_host.domain.protocol import (
    CheckpointKind as CheckpointKind,
)
from lash_host.domain.protocol import (
    Complete as Complete,
)
from lash_host.domain.protocol import (
    DriverStep as DriverStep,
)
from lash_host.domain.protocol import (
    StopTurn as StopTurn,
)
from lash_host.domain.protocol import (
    ToolCallResult as ToolCallResult,
)
from lash_host.domain.protocol import (
    TurnDriver as TurnDriver,
)
from lash_host.domain.protocol import (
    TurnView as TurnView,
)
from lash_host.domain.session import (
    Residency as Residency,
)
from lash_host.domain.session import (
    RuntimeSessionState as RuntimeSessionState,
)
from lash_host.domain.session import (
    SessionInfo as SessionInfo,
)
from lash_host.domain.session import (
    SessionReadView as SessionReadView,
)
from lash_host.domain.session import (
    SessionSnapshot as SessionSnapshot,
)
from lash_host.domain.tool import (
    FailureClass as FailureClass,
)
from lash_host.domain.tool import (
    FinishControl as FinishControl,
)
from lash_host.domain.tool import (
    SwitchFrameControl as SwitchFrameControl,
)
from lash_host.domain.tool import (
    ToolCallRecord as ToolCallRecord,
)
from lash_host.domain.tool import (
    ToolCancelled as ToolCancelled,
)
from lash_host.domain.tool import (
    ToolContract as ToolContract,
)
from lash_host.domain.tool import (
    ToolDefinition as ToolDefinition,
)
from lash_host.domain.tool import (
    ToolFailure as ToolFailure,
)
from lash_host.domain.tool import (
    ToolManifest as ToolManifest,
)
from lash_host.domain.tool import (
    ToolOutput as ToolOutput,
)
from lash_host.domain.tool import (
    ToolRetry as ToolRetry,
)
from lash_host.domain.tool import (
    ToolRetryPolicy as ToolRetryPolicy,
)
from lash_host.domain.tool import (
    ToolScheduling as ToolScheduling,
)
from lash_host.domain.tool import (
    ToolSpec as ToolSpec,
)
from lash_host.domain.tool import (
    ToolSuccess as ToolSuccess,
)
from lash_host.domain.turn import (
    AssistantMessage as AssistantMessage,
)
from lash_host.domain.turn import (
    FinalValue as FinalValue,
)
from lash_host.domain.turn import (
    FrameSwitch as FrameSwitch,
)
from lash_host.domain.turn import (
    InputImage as InputImage,
)
from lash_host.domain.turn import (
    InputText as InputText,
)
from lash_host.domain.turn import (
    Stopped as Stopped,
)
from lash_host.domain.turn import (
    StopReason as StopReason,
)
from lash_host.domain.turn import (
    ToolValue as ToolValue,
)
from lash_host.domain.turn import (
    TurnInput as TurnInput,
)
from lash_host.domain.turn import (
    TurnIssue as TurnIssue,
)
from lash_host.domain.turn import (
    TurnOutcome as TurnOutcome,
)
from lash_host.domain.turn import (
    TurnResult as TurnResult,
)
from lash_host.domain.usage import (
    SessionUsageReport as SessionUsageReport,
)
from lash_host.domain.usage import (
    TokenLedgerEntry as TokenLedgerEntry,
)
from lash_host.domain.usage import (
    TokenUsage as TokenUsage,
)
from lash_host.domain.value import (
    JsonObject as JsonObject,
)
from lash_host.domain.value import (
    JsonValue as JsonValue,
)
from lash_host.errors import (
    CompactionError as CompactionError,
)
from lash_host.errors import (
    DuplicatePluginId as DuplicatePluginId,
)
from lash_host.errors import (
    ForeignStore as ForeignStore,
)
from lash_host.errors import (
    GenerationMismatch as GenerationMismatch,
)
from lash_host.errors import (
    HeadRevisionConflict as HeadRevisionConflict,
)
from lash_host.errors import (
    InvalidCommit as InvalidCommit,
)
from lash_host.errors import (
    InvalidOperationArguments as InvalidOperationArguments,
)
from lash_host.errors import (
    InvalidPluginOptions as InvalidPluginOptions,
)
from lash_host.errors import (
    LashError as LashError,
)
from lash_host.errors import (
    MissingCredential as MissingCredential,
)
from lash_host.errors import (
    MissingExtra as MissingExtra,
)
from lash_host.errors import (
    MissingProtocol as MissingProtocol,
)
from lash_host.errors import (
    ModelCallError as ModelCallError,
)
from lash_host.errors import (
    ModelErrorKind as ModelErrorKind,
)
from lash_host.errors import (
    PluginError as PluginError,
)
from lash_host.errors import (
    PluginHookError as PluginHookError,
)
from lash_host.errors import (
    PluginLoadError as PluginLoadError,
)
from lash_host.errors import (
    PluginSnapshotError as PluginSnapshotError,
)
from lash_host.errors import (
    QueryFailed as QueryFailed,
)
from lash_host.errors import (
    QueryRefused as QueryRefused,
)
from lash_host.errors import (
    RecordVersionError as RecordVersionError,
)
from lash_host.errors import (
    RuntimeFault as RuntimeFault,
)
from lash_host.errors import (
    SchemaTooNew as SchemaTooNew,
)
from lash_host.errors import (
    SessionBindingMismatch as SessionBindingMismatch,
)
from lash_host.errors import (
    SessionBusy as SessionBusy,
)
from lash_host.errors import (
    SessionClosed as SessionClosed,
)
from lash_host.errors import (
    SessionLeaseExpired as SessionLeaseExpired,
)
from lash_host.errors import (
    SessionLeaseLost as SessionLeaseLost,
)
from lash_host.errors import (
    SettingsError as SettingsError,
)
from lash_host.errors import (
    SingletonConflict as SingletonConflict,
)
from lash_host.errors import (
    StaleBranch as StaleBranch,
)
from lash_host.errors import (
    StoreError as StoreError,
)
from lash_host.errors import (
    StoreLocked as StoreLocked,
)
from lash_host.errors import (
    StoreUnreachable as StoreUnreachable,
)
from lash_host.errors import (
    StoreUnwritable as StoreUnwritable,
)
from lash_host.errors import (
    ToolFailedError as ToolFailedError,
)
from lash_host.errors import (
    ToolStateError as ToolStateError,
)
from lash_host.errors import (
    TurnAborted as TurnAborted,
)
from lash_host.errors import (
    TurnCommitConflict as TurnCommitConflict,
)
from lash_host.errors import (
    UnknownModel as UnknownModel,
)
from lash_host.errors import (
    UnknownOperation as UnknownOperation,
)
from lash_host.errors import (
    UnknownPlugin as UnknownPlugin,
)
from lash_host.errors import (
    UnknownProvider as UnknownProvider,
)
from lash_host.errors import (
    UnknownSession as UnknownSession,
)
from lash_host.errors import (
    UsageFault as UsageFault,
)
from lash_host.hookspecs.catalog import (
    ToolCatalogContext as ToolCatalogContext,
)
from lash_host.hookspecs.compaction import (
    CompactionContext as CompactionContext,
)
from lash_host.hookspecs.config import (
    SessionConfigChange as SessionConfigChange,
)
from lash_host.hookspecs.host import (
    PluginSessionContext as PluginSessionContext,
)
from lash_host.hookspecs.host import (
    ProcessEngineContext as ProcessEngineContext,
)
from lash_host.hookspecs.operation import (
    OperationContext as OperationContext,
)
from lash_host.hookspecs.operation import (
    PluginOperation as PluginOperation,
)
from lash_host.hookspecs.prompt import (
    PromptContext as PromptContext,
)
from lash_host.hookspecs.protocol import (
    CodeExecutor as CodeExecutor,
)
from lash_host.hookspecs.snapshot import (
    SnapshotReader as SnapshotReader,
)
from lash_host.hookspecs.snapshot import (
    SnapshotWriter as SnapshotWriter,
)
from lash_host.hookspecs.stream import (
    ResponseTransform as ResponseTransform,
)
from lash_host.hookspecs.stream import (
    StreamChunk as StreamChunk,
)
from lash_host.hookspecs.stream import (
    StreamFinishedContext as StreamFinishedContext,
)
from lash_host.hookspecs.tool_call import (
    AfterToolCallContext as AfterToolCallContext,
)
from lash_host.hookspecs.tool_call import (
    BeforeToolCallContext as BeforeToolCallContext,
)
from lash_host.hookspecs.tool_call import (
    ToolProjectionContext as ToolProjectionContext,
)
from lash_host.hookspecs.turn import (
    AfterTurnContext as AfterTurnContext,
)
from lash_host.hookspecs.turn import (
    BeforeTurnContext as BeforeTurnContext,
)
from lash_host.hookspecs.turn import (
    CheckpointContext as CheckpointContext,
)
from lash_host.hookspecs.turn import (
    LifecycleEvent as LifecycleEvent,
)
from lash_host.hookspecs.turn import (
    PreparedContext as PreparedContext,
)
from lash_host.hookspecs.turn import (
    SessionConfigChanged as SessionConfigChanged,
)
from lash_host.hookspecs.turn import (
    SessionReadyContext as SessionReadyContext,
)
from lash_host.hookspecs.turn import (
    SessionRestored as SessionRestored,
)
from lash_host.hookspecs.turn import (
    TurnFinalized as TurnFinalized,
)
from lash_host.hookspecs.turn import (
    TurnPersisted as TurnPersisted,
)
from lash_host.hookspecs.turn import (
    TurnTransformContext as TurnTransformContext,
)
from lash_host.markers import (
    hookimpl as hookimpl,
)
from lash_host.plugin.discovery import (
    InstalledPlugin as InstalledPlugin,
)
from lash_host.plugin.findings import (
    PluginFinding as PluginFinding,
)
from lash_host.plugin.host import (
    PluginHost as PluginHost,
)
from lash_host.plugin.session import (
    PluginSession as PluginSession,
)
from lash_host.plugin.session_plugin import (
    SessionPlugin as SessionPlugin,
)
from lash_host.plugin.tool_decorator import (
    tool as tool,
)
from lash_host.plugin.tool_decorator import (
    tool_provider as tool_provider,
)
from lash_host.plugin.tool_function import (
    FunctionToolProvider as FunctionToolProvider,
)
from lash_host.runtime.runtime import (
    LashRuntime as LashRuntime,
)
from lash_host.settings import (
    Settings as Settings,
)
from lash_host.settings import (
    load_settings as load_settings,
)
from lash_host.usage.analytics import (
    UsageAnalytics as UsageAnalytics,
)

__version__: Final[str]
__all__: list[str]  # noqa: PYI035  made of a table at run time
