"""A server on the loopback interface that speaks the chat completions protocol from a script."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections import deque
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from lash_host.testing.openai_replies import (
    FAKE_USAGE,
    ChatReply,
    ErrorReply,
    FakeToolCall,
    Hold,
    RawReply,
    RecordedRequest,
    Reply,
    sse,
)

__all__ = [
    "FAKE_USAGE",
    "ChatReply",
    "ErrorReply",
    "FakeOpenAIServer",
    "FakeToolCall",
    "Hold",
    "RawReply",
    "RecordedRequest",
    "Reply",
    "sse",
]


class FakeOpenAIServer:
    """Answers ``POST …/chat/completions`` with scripted replies, in order, over a real socket.

    A context manager. A request without a reply left is answered with status 400.

    Attributes:
        requests: What it was asked, oldest first.
        gone: Set when a client left before its answer was whole.
    """

    def __init__(self, *replies: Reply) -> None:
        """Take the script; `add` goes on with it."""
        self._script = _Script(replies)
        self.requests, self.gone = self._script.requests, self._script.gone
        self._http = _Server(self._script)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="fake-openai", daemon=True)

    @property
    def base_url(self) -> str:
        """Where it listens, with the path that clients are configured with."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def remaining(self) -> int:
        """How many replies were not asked for yet."""
        return len(self._script.replies)

    def add(self, *replies: Reply) -> None:
        """Go on with more replies."""
        self._script.replies.extend(replies)

    def release(self) -> None:
        """Let one held answer go on; when none is held yet, the next one that comes to a hold does not wait."""
        self._script.release()

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Hang up on everybody, and stop."""
        self._http.shutdown()
        self._thread.join()
        self._script.stop()
        self._http.server_close()
        self._script.close()


class _Script:
    """What the threads of a server share."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.requests: list[RecordedRequest] = []
        self.gone = threading.Event()
        self.replies: deque[Reply] = deque(replies)
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._is_over = False
        self._bell_rope, self._bell = socket.socketpair()

    def next_reply(self, request: RecordedRequest) -> ChatReply | ErrorReply | RawReply:
        with self._lock:
            self.requests.append(request)
            used_up = ErrorReply(status=400, body={"error": {"message": "the script of this server is used up"}})
            reply: Reply = self.replies.popleft() if self.replies else used_up
        while not isinstance(reply, ChatReply | ErrorReply | RawReply):
            reply = reply(request)
        return reply

    def release(self) -> None:
        self._bell_rope.send(b".")

    def hold(self, connection: socket.socket) -> bool:
        """Wait; say whether the answer shall go on."""
        readable, _, _ = select.select([connection, self._bell], [], [])
        if connection in readable:
            self.gone.set()
            return False
        return self._bell.recv(1) != b""

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)
            if self._is_over:
                _hang_up(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def stop(self) -> None:
        self._bell_rope.close()
        with self._lock:
            self._is_over = True
            for connection in self._connections:
                _hang_up(connection)

    def close(self) -> None:
        self._bell.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, script: _Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.script.opened(self.connection)

    def finish(self) -> None:
        self.server.script.closed(self.connection)
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.server.script.gone.set()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        match self.server.script.next_reply(RecordedRequest(path=self.path, headers=headers, body=body)):
            case ErrorReply() as error:
                self._send_error_reply(error)
            case ChatReply() as chat:
                events = [sse(chunk, done=False) for chunk in chat.chunks(model=str(body.get("model")))]
                self._send_stream(RawReply(pieces=[*events, sse()]))
            case RawReply() as raw:
                self._send_stream(raw)

    def _send_error_reply(self, reply: ErrorReply) -> None:
        is_text = isinstance(reply.body, str)
        payload = (str(reply.body) if is_text else json.dumps(reply.body)).encode()
        self.send_response(reply.status)
        fixed = {"Content-Type": "text/plain" if is_text else "application/json", "Content-Length": str(len(payload))}
        for name, value in {**fixed, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def _send_stream(self, reply: RawReply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        for piece in reply.pieces:
            if isinstance(piece, bytes):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked else piece)
            elif not self.server.script.hold(self.connection):
                self.close_connection = True
                return
        if reply.cut:
            self.close_connection = True
        elif reply.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Say nothing: tests read `FakeOpenAIServer.requests`."""


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was faster
