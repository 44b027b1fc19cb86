"""The session graph: append-only nodes with one parent each, and a leaf that says which path is active."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Literal, cast

from lash_host.domain.message import ImagePart, Message, Role

__all__ = [
    "AppendNodes",
    "GraphDelta",
    "ReplaceGraph",
    "SessionGraph",
    "SessionNode",
    "UnchangedGraph",
    "check_delta",
    "message_node",
    "unique_node_id",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionNode:
    """One node. Its payload stays the JSON text it is stored as until somebody asks for the message.

    Not a pydantic value: nodes are loaded by the thousand, and what the store wrote is not validated again.

    Attributes:
        node_id: Unique within the session.
        parent_node_id: The node before it; None for a first one.
        frame_id: The agent frame it belongs to.
        created_at_us: UTC microseconds.
        kind: A message, an event of the protocol or of a plugin, or a plugin's own record.
        label: A message's role, else the id of the plugin the node belongs to.
        payload_json: JSON text: a `Message`, or whatever the plugin wrote.
    """

    node_id: str
    parent_node_id: str | None
    frame_id: str
    created_at_us: int
    kind: Literal["message", "event", "record"]
    label: str
    payload_json: str
    _message: Message | None = field(default=None, compare=False, repr=False)

    @property
    def message(self) -> Message:
        """The message of a message node, decoded on first use."""
        if self._message is None:
            object.__setattr__(self, "_message", Message.model_validate_json(self.payload_json))
        return cast("Message", self._message)


def message_node(
    message: Message, *, node_id: str, parent_node_id: str | None, frame_id: str, created_at_us: int
) -> SessionNode:
    """Make the node of a message."""
    return SessionNode(
        node_id=node_id,
        parent_node_id=parent_node_id,
        frame_id=frame_id,
        created_at_us=created_at_us,
        kind="message",
        label=message.role.value,
        payload_json=message.model_dump_json(exclude_none=True),
        _message=message,
    )


def unique_node_id(message_id: str, *, taken: Callable[[str], bool]) -> str:
    """Give a message's id, or a variant of it where the id is taken: a repeated append makes a new node."""
    if not taken(message_id):
        return message_id
    candidate, number = f"message:{message_id}", 1
    while taken(candidate):
        number += 1
        candidate = f"message:{message_id}:{number}"
    return candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class UnchangedGraph:
    """No new nodes; the leaf is set, which is how a branch move is stored."""

    leaf_node_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendNodes:
    """New nodes at the end; the leaf is set."""

    nodes: tuple[SessionNode, ...]
    leaf_node_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceGraph:
    """Everything that was there is tombstoned, and these nodes take its place."""

    nodes: tuple[SessionNode, ...]
    leaf_node_id: str | None


GraphDelta = UnchangedGraph | AppendNodes | ReplaceGraph


class _Log:
    """Nodes in insertion order, shared by every graph that is a prefix of them."""

    __slots__ = ("nodes", "positions")

    def __init__(self, nodes: Iterable[SessionNode] = ()) -> None:
        self.nodes: list[SessionNode] = list(nodes)
        self.positions: dict[str, int] = {node.node_id: index for index, node in enumerate(self.nodes)}
        if len(self.positions) != len(self.nodes):
            raise ValueError("two nodes of one graph have the same id")


class _FrameLog:
    """The messages of one frame along a path, collected once and then only added to."""

    __slots__ = ("ends", "first_of_role", "images", "messages", "seen")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.first_of_role: dict[Role, int] = {}
        self.ends: list[int] = []
        """How many messages there are up to each node of the path."""
        self.images: list[tuple[int, str]] = []
        self.seen: set[str] = set()

    def take(self, node: SessionNode, frame_id: str) -> None:
        """Go one node further along the path: a message of the frame counts once, a transient one never."""
        if node.kind == "message" and node.frame_id == frame_id:
            message = node.message
            if not message.is_transient and message.message_id not in self.seen:
                self.seen.add(message.message_id)
                self.first_of_role.setdefault(message.role, len(self.messages))
                self.images.extend(
                    (len(self.messages), part.blob_ref) for part in message.parts if isinstance(part, ImagePart)
                )
                self.messages.append(message)
        self.ends.append(len(self.messages))


class _Path:
    """Nodes from the root on, shared by every graph whose active path is a prefix of them."""

    __slots__ = ("frames", "nodes")

    def __init__(self, nodes: list[SessionNode]) -> None:
        self.nodes = nodes
        self.frames: dict[str, _FrameLog] = {}

    def frame(self, frame_id: str, *, length: int) -> _FrameLog:
        """Give a frame's log, complete up to ``length`` nodes."""
        log = self.frames.setdefault(frame_id, _FrameLog())
        for node in self.nodes[len(log.ends) : length]:
            log.take(node, frame_id)
        return log


class SessionGraph:
    """An immutable view of a session's nodes.

    Appending gives a new graph that shares the nodes of the old one, so that it costs what is appended and not what
    is there. Only a second, different continuation of the same graph copies.
    """

    __slots__ = ("_count", "_log", "_path", "_path_count", "is_trimmed", "leaf_node_id")

    def __init__(
        self, nodes: Iterable[SessionNode] = (), *, leaf_node_id: str | None = None, is_trimmed: bool = False
    ) -> None:
        self._log = _Log(nodes)
        self._count = len(self._log.nodes)
        self.leaf_node_id = leaf_node_id
        self.is_trimmed = is_trimmed
        """Whether older or other nodes exist in the store that are not here."""
        self._path = _Path(self._walk(leaf_node_id))
        self._path_count = len(self._path.nodes)

    def __len__(self) -> int:
        """How many nodes there are, on the active path or off it."""
        return self._count

    def __contains__(self, node_id: object) -> bool:
        """Whether a node of this id is here."""
        position = self._log.positions.get(node_id) if isinstance(node_id, str) else None
        return position is not None and position < self._count

    def node(self, node_id: str) -> SessionNode | None:
        """Give a node by id."""
        return self._log.nodes[self._log.positions[node_id]] if node_id in self else None

    @property
    def nodes(self) -> Iterator[SessionNode]:
        """All nodes, in insertion order."""
        return islice(self._log.nodes, self._count)

    @property
    def active_path(self) -> Sequence[SessionNode]:
        """The nodes from the root to the leaf; begins later where the parent of the first is not here."""
        return self._path.nodes[: self._path_count]

    def active_path_contains(self, node_id: str) -> bool:
        """Whether a node is an ancestor of the leaf, or the leaf."""
        return any(node.node_id == node_id for node in islice(self._path.nodes, self._path_count))

    def append(self, nodes: Sequence[SessionNode]) -> SessionGraph:
        """Give the graph with ``nodes`` at its end; the last becomes the leaf.

        Raises:
            ValueError: An id is taken, or a parent is neither here nor among ``nodes``.
        """
        if not nodes:
            return self
        log = self._log if len(self._log.nodes) == self._count else _Log(self.nodes)
        added: set[str] = set()
        for node in nodes:
            if node.node_id in self or node.node_id in added:
                raise ValueError(f"node id {node.node_id!r} is taken")
            parent = node.parent_node_id
            if parent is not None and parent not in self and parent not in added:
                raise ValueError(f"parent {parent!r} of node {node.node_id!r} does not exist")
            added.add(node.node_id)
        for node in nodes:
            log.positions[node.node_id] = len(log.nodes)
            log.nodes.append(node)
        return self._derive(log, leaf=nodes[-1].node_id, appended=nodes)

    def branch_to(self, node_id: str | None) -> SessionGraph:
        """Give the same nodes with another leaf.

        Raises:
            KeyError: No node of that id is here.
        """
        if node_id is not None and node_id not in self:
            raise KeyError(node_id)
        if node_id == self.leaf_node_id:
            return self
        return self._derive(self._log, leaf=node_id, appended=())

    def healed(self) -> SessionGraph:
        """Give a graph whose leaf exists: the last message node where the leaf does not, or none at all."""
        if self.leaf_node_id is None or self.leaf_node_id in self:
            return self
        messages = [node.node_id for node in self.nodes if node.kind == "message"]
        return self._derive(self._log, leaf=messages[-1] if messages else None, appended=())

    def frame_messages(self, frame_id: str) -> list[Message]:
        """Give the messages of a frame along the active path, each id once, transient ones left out."""
        if self._path_count == 0:
            return []
        log = self._path.frame(frame_id, length=self._path_count)
        return log.messages[: log.ends[self._path_count - 1]]

    def frame_images(self, frame_id: str) -> set[str]:
        """Give the blob refs of the images among a frame's messages, without looking at each message again."""
        if self._path_count == 0:
            return set()
        log = self._path.frame(frame_id, length=self._path_count)
        end = log.ends[self._path_count - 1]
        return {ref for index, ref in log.images if index < end}

    def frame_has_role(self, frame_id: str, role: Role) -> bool:
        """Whether any of a frame's messages speaks for ``role``, without looking at each message again."""
        if self._path_count == 0:
            return False
        log = self._path.frame(frame_id, length=self._path_count)
        first = log.first_of_role.get(role)
        return first is not None and first < log.ends[self._path_count - 1]

    def _derive(self, log: _Log, *, leaf: str | None, appended: Sequence[SessionNode]) -> SessionGraph:
        graph = object.__new__(SessionGraph)
        graph._log, graph._count = log, self._count + len(appended)
        graph.leaf_node_id, graph.is_trimmed = leaf, self.is_trimmed
        chained = bool(appended) and appended[0].parent_node_id == self.leaf_node_id
        chained = chained and all(b.parent_node_id == a.node_id for a, b in pairwise(appended))
        if chained and len(self._path.nodes) == self._path_count:
            self._path.nodes.extend(appended)
            graph._path, graph._path_count = self._path, self._path_count + len(appended)
        else:
            graph._path = _Path(graph._walk(leaf))
            graph._path_count = len(graph._path.nodes)
        return graph

    def _walk(self, leaf: str | None) -> list[SessionNode]:
        path: list[SessionNode] = []
        nodes, positions = self._log.nodes, self._log.positions
        at = leaf
        while at is not None and (position := positions.get(at, self._count)) < self._count:
            path.append(nodes[position])
            at = nodes[position].parent_node_id
        path.reverse()
        return path


def check_delta(delta: GraphDelta, *, known: Callable[[str], bool]) -> str | None:
    """Say what is wrong with a delta, or None.

    Args:
        delta: What is to be written.
        known: Whether a live node of an id is stored already. Not asked for a `ReplaceGraph`.
    """
    if isinstance(delta, UnchangedGraph):
        leaf = delta.leaf_node_id
        return None if leaf is None or known(leaf) else f"leaf {leaf!r} does not exist"
    replaces = isinstance(delta, ReplaceGraph)
    added: set[str] = set()
    for node in delta.nodes:
        if node.node_id in added or (not replaces and known(node.node_id)):
            return f"node id {node.node_id!r} is taken"
        parent = node.parent_node_id
        if parent is not None and parent not in added and (replaces or not known(parent)):
            return f"parent {parent!r} of node {node.node_id!r} does not exist"
        added.add(node.node_id)
    leaf = delta.leaf_node_id
    if leaf is not None and leaf not in added and (replaces or not known(leaf)):
        return f"leaf {leaf!r} does not exist"
    return None
