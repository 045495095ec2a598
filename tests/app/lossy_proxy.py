"""A bad network between a client and the app: it loses a request, or an answer."""

import socket
import threading
from typing import TYPE_CHECKING, Self

from dev.processes import LOOPBACK

if TYPE_CHECKING:
    from types import TracebackType

SECONDS = 30.0


class LossyProxy:
    """Passes connections to a port of this machine, one after the other."""

    def __init__(self, port: int) -> None:
        """Listen; the first connection is accepted when this is entered."""
        self._port = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._wanted: tuple[bytes, bool] | None = None
        self.n_lost = 0
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def lose_next(self, path_ending: str, *, after_the_answer: bool) -> None:
        """Lose the next request to this path: before the app gets it, or after its answer."""
        self._wanted = (f"{path_ending} HTTP/".encode(), after_the_answer)

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        """Accept no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(SECONDS)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(SECONDS)
                self._handle(client)

    def _handle(self, client: socket.socket) -> None:
        """Pass on a request and its answer. The client sends one request on a connection."""
        request = _request_of(client)
        loses = self._wanted is not None and self._wanted[0] in request.partition(b"\r\n")[0]
        if loses and self._wanted is not None:
            _, after_the_answer = self._wanted
            self._wanted = None
            self.n_lost += 1
            if not after_the_answer:
                return
        with socket.create_connection((LOOPBACK, self._port), SECONDS) as app:
            app.sendall(request)
            answer = b"".join(iter(lambda: app.recv(65536), b""))
        if not loses:
            client.sendall(answer)


def _request_of(client: socket.socket) -> bytes:
    """Return a whole request; urllib asks to close the connection after the answer."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
    length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body
