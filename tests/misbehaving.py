"""A web server on this machine that serves one file, and misbehaves as it is told: request by request."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HANG = 1000  # less than the buffer of a file: what has come must be on the disk all the same
PAGE = b"<html><body>Please log in to use this network.</body></html>"


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path. `script` holds what to do with the next requests; then it behaves.

    `asked` collects the Range header of each request, None where it had none.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.script: list[str] = []
        self.always = "well"
        self.asked: list[str | None] = []
        self.go_on = threading.Event()  # "hang" waits for it

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        """A client that has gone away is part of the play."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *arguments) -> None: ...

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        getattr(self, self.server.script.pop(0) if self.server.script else self.server.always)(asked)

    def reply(self, status: int, body: bytes, kind: str = "text/plain", length: bool = True, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def well(self, asked: str | None, change=lambda body: body) -> None:
        content = change(self.server.content)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if not asked:
            self.reply(200, content)
        elif start < len(content):
            rest, last = content[start:], len(content) - 1
            self.reply(206, rest, Content_Range=f"bytes {start}-{last}/{len(content)}")
        else:
            self.send_error(416)

    def no_ranges(self, asked: str | None) -> None:
        self.well(None)

    def wrong_range(self, asked: str | None) -> None:
        self.reply(206, self.server.content[:10], Content_Range=f"bytes 0-9/{len(self.server.content)}")

    def altered(self, asked: str | None) -> None:
        self.well(asked, lambda body: body[:-1] + bytes([body[-1] ^ 1]))

    def longer(self, asked: str | None) -> None:
        self.well(asked, lambda body: body + b"!")

    def page(self, asked: str | None) -> None:
        self.reply(200, PAGE, "text/html")

    def page_of_unsaid_length(self, asked: str | None) -> None:
        self.reply(200, PAGE, "text/html", length=False)

    def cut(self, asked: str | None) -> None:
        """A third of what was asked for, and the connection ends."""
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self._begin(start)
        self.wfile.write(self.server.content[start : start + (len(self.server.content) - start) // 3])

    def hang(self, asked: str | None) -> None:
        """HANG bytes, and then nothing until the test says so."""
        self._begin(0)
        self.wfile.write(self.server.content[:HANG])
        self.wfile.flush()
        self.server.go_on.wait(60)

    def drip(self, asked: str | None) -> None:
        """All of it, in small pieces."""
        self._begin(0)
        for i in range(0, len(self.server.content), 1000):
            self.wfile.write(self.server.content[i : i + 1000])
            self.wfile.flush()

    def _begin(self, start: int) -> None:
        size = len(self.server.content)
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "text/plain")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()

    def hang_up(self, asked: str | None) -> None:
        self.close_connection = True

    def missing(self, asked: str | None) -> None:
        self.send_error(404)

    def broken(self, asked: str | None) -> None:
        self.send_error(500)

    def busy(self, asked: str | None) -> None:
        self.reply(429, b"", Retry_After="7")

    def round_and_round(self, asked: str | None) -> None:
        self.reply(302, b"", Location=self.path)


@contextmanager
def misbehaving(content: bytes) -> Iterator[Server]:
    server = Server(content)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()
