"""The local server of the page: it answers this machine alone, and only who knows the address."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from socketserver import TCPServer
from typing import Any, Protocol

import numpy as np

from ..locks import ForkSafeLock

HOST = "127.0.0.1"
MAX_BODY = 1 << 18
"""Bytes of a request; a drawing takes some 20,000."""

IDLE_SECONDS = 60
"""Seconds after which a connection that says nothing is closed."""

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

NOT_FOUND = "there is no such page"


class Answers(Protocol):
    """What a server shows: its questions by name, each a function of the request's JSON object."""

    @property
    def questions(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return the function that answers each question; it raises ValueError for a request that makes no sense."""


class RefusedError(Exception):
    """A request that is not answered: HTTP status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class LocalHTTPServer(ThreadingHTTPServer):
    """An HTTP server that looks up no names: `http.server` asks DNS for that of the address."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind the socket, under the address itself as name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])


class PageServer:
    """Serve the page and its answers from a free port of 127.0.0.1, on threads of its own.

    Parameters
    ----------
    answers : Answers

    Attributes
    ----------
    address, path : str
        Of the page. The path holds a token, without which nothing is answered.
    """

    def __init__(self, answers: Answers) -> None:
        self._token = secrets.token_urlsafe(32)
        self._ticket: str | None = None
        self._visited = False
        self._answers, self._lock = answers, ForkSafeLock()
        self._page = resources.files(__package__).joinpath("index.html").read_bytes()
        self._policy = content_security_policy(self._page.decode())
        self._http = LocalHTTPServer((HOST, 0), _handler_of(self))
        self.port = self._http.server_port
        self.path = f"/{self._token}/"
        self.address = f"http://{HOST}:{self.port}{self.path}"
        threading.Thread(target=self._http.serve_forever, args=(0.1,), name="fastnn page", daemon=True).start()

    def __enter__(self) -> PageServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._http.shutdown()
        self._http.server_close()

    def new_ticket(self) -> str:
        """Return an address that leads to the page once: that of a browser's command line, which others may see."""
        self._ticket = secrets.token_urlsafe(32)
        return f"http://{HOST}:{self.port}/{self._ticket}"

    def wait_for_visit(self, seconds: float) -> None:
        """Wait until the page was fetched, or so many seconds."""
        ends = time.monotonic() + seconds
        while not self._visited and time.monotonic() < ends:
            time.sleep(0.02)

    def check_source(self, headers: Any) -> None:
        """Raise RefusedError for a request that was not meant for this server, or that another site sent."""
        hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        if headers.get_all("Host") is None or len(headers.get_all("Host")) != 1 or headers["Host"] not in hosts:
            raise RefusedError(403, "the Host of the request is not this server")
        origin = headers["Origin"]
        if origin is not None and origin != f"http://{headers['Host']}":
            raise RefusedError(403, "the Origin of the request is another site")

    def find(self, method: str, target: str) -> str:
        """Return what is asked for, "" for the page; raise RefusedError without the token.

        How long the comparison takes says nothing of the token.
        """
        token, _, name = target.partition("?")[0].removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise RefusedError(403, "the address lacks this server's token; use the whole address that fastnn printed")
        if method != ("POST" if name else "GET"):
            raise RefusedError(405, "the page is fetched by GET, its answers by POST")
        return name

    def redeem(self, target: str) -> bool:
        """Tell whether a path is the ticket; it is good for one visit."""
        ticket, self._ticket = self._ticket, None
        if ticket is not None and hmac.compare_digest(target.encode(), f"/{ticket}".encode()):
            return True
        self._ticket = ticket
        return False

    def page(self) -> tuple[bytes, str]:
        """Return the page and its Content-Security-Policy."""
        self._visited = True
        return self._page, self._policy

    def answer(self, name: str, body: bytes) -> bytes:
        """Return the answer to a question as JSON; raise RefusedError for a question that makes no sense."""
        question = self._answers.questions.get(name)
        if question is None:
            raise RefusedError(404, NOT_FOUND)
        request = parse_object(body)
        try:
            with self._lock:
                found = question(request)
        except ValueError as error:
            raise RefusedError(400, str(error)) from None
        return json.dumps(plain(found), allow_nan=False).encode()


def content_security_policy(page: str) -> str:
    """Allow the page its own style and script, known by their digests, and requests to this server; nothing else."""
    digests = {
        tag: base64.b64encode(hashlib.sha256(re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[0].encode()).digest())
        for tag in ("style", "script")
    }
    return (
        f"default-src 'none'; script-src 'sha256-{digests['script'].decode()}'; "
        f"style-src 'sha256-{digests['style'].decode()}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request; RefusedError for anything else."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the request is not JSON") from None
    if not isinstance(request, dict):
        raise RefusedError(400, f"the request must be a JSON object, got {type(request).__name__}")
    return request


def plain(value: Any) -> Any:
    """Return nested data as JSON can hold them: arrays as lists, numbers that are not finite as None."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        finite = value.dtype.kind != "f" or np.isfinite(value).all()
        return value.tolist() if finite else plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _handler_of(server: PageServer) -> type[BaseHTTPRequestHandler]:
    """Return the class of handlers that ask this server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = IDLE_SECONDS
        disable_nagle_algorithm = True

        def version_string(self) -> str:
            return "fastnn"

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the terminal for what the command says."""

        def do_GET(self) -> None:
            self._run(self._get)

        def do_POST(self) -> None:
            self._run(self._post)

        def _run(self, respond: Callable[[], None]) -> None:
            try:
                server.check_source(self.headers)
                respond()
            except RefusedError as refusal:
                self.close_connection = True  # a body may be left unread
                self._send(refusal.status, json.dumps({"error": str(refusal)}).encode(), "application/json")
            except ConnectionError:
                self.close_connection = True  # the browser no longer wants the answer

        def _get(self) -> None:
            if server.redeem(self.path):
                self._send(303, b"", "text/plain", {"Location": server.path})
                return
            server.find("GET", self.path)
            page, policy = server.page()
            self._send(200, page, "text/html; charset=utf-8", {"Content-Security-Policy": policy})

        def _post(self) -> None:
            name = server.find("POST", self.path)
            if self.headers.get_content_type() != "application/json":
                raise RefusedError(415, "the request must be application/json")
            length = self.headers["Content-Length"]
            if length is None or not re.fullmatch("[0-9]{1,18}", length):
                raise RefusedError(411, "the request must say its length")
            if int(length) > MAX_BODY:
                raise RefusedError(413, f"the request must have at most {MAX_BODY:,} bytes, got {int(length):,}")
            self._send(200, server.answer(name, self.rfile.read(int(length))), "application/json")

        def _send(self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
            self.send_response(status)
            headers = {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS, **(more or {})}
            if self.close_connection:
                headers["Connection"] = "close"
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler
