"""A server on this machine that offers a file in every way in which servers go wrong."""

import gzip
import io
import socket
import struct
import tarfile
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mirror(ThreadingHTTPServer):
    """Serves `content`: the address http://host/HOW/name.gz says how.

    `asked` counts the requests of each HOW. `meet` is a barrier that the way "together" waits at,
    `halfway` is set when "hang" has sent one half.
    """

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.asked = Counter()
        self.meet = threading.Barrier(2, timeout=300)
        self.halfway = threading.Event()
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def address(self, how: str) -> str:
        """Where the file is served in this way."""
        end = ".tar.gz" if how.startswith("tar") else ".gz"
        return f"http://127.0.0.1:{self.server_port}/{how}/file{end}"

    def close(self) -> None:
        """Let the handlers go, and stop."""
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that goes away is what the tests are about."""


class Handler(BaseHTTPRequestHandler):
    """One request, answered in the way that its path names."""

    def log_message(self, *args):
        """Say nothing."""

    def do_GET(self):
        how = self.path.split("/")[1]
        self.server.asked[how] += 1
        packed = gzip.compress(self.server.content, mtime=0)
        with suppress(ConnectionError):
            getattr(self, how)(packed)

    def answer(self, body: bytes, length: int | str | None = None, status: int = 200, **headers):
        """Send a whole answer; `length` is what it says of itself."""
        self.begin(len(body) if length is None else length, status, **headers)
        self.wfile.write(body)

    def begin(self, length: int | str, status: int = 200, **headers):
        self.send_response(status)
        if length != "":
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    # What is right

    def good(self, packed):
        self.answer(packed)

    def plain(self, packed):
        self.answer(self.server.content)

    def tar(self, packed):
        self.answer(archive("folder/file", self.server.content))

    def unasked(self, packed):
        """Packed for the way only: the client unpacks it before it sees it."""
        self.answer(packed, Content_Encoding="gzip")

    def tar_unasked(self, packed):
        """An archive, packed for the way only."""
        self.answer(archive("folder/file", self.server.content), Content_Encoding="gzip")

    def together(self, packed):
        """Answers when two have asked."""
        self.server.meet.wait()
        self.answer(packed)

    def second(self, packed):
        """Goes wrong the first time only."""
        (self.cut if self.server.asked["second"] == 1 else self.good)(packed)

    # What goes wrong

    def cut(self, packed):
        self.answer(packed[: len(packed) // 2], length=len(packed))

    def reset(self, packed):
        """The connection is torn down, without a goodbye."""
        self.cut(packed)
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def truncated(self, packed):
        """Half of it, and the length of that half."""
        self.answer(packed[: len(packed) // 2])

    def unmeasured(self, packed):
        """Half of it, and no word of a length."""
        self.answer(packed[: len(packed) // 2], length="")

    def too_short(self, packed):
        """All of it, after a length that is too small."""
        self.answer(packed, length=len(packed) - 100)

    def too_long(self, packed):
        self.answer(packed, length=len(packed) + 100)

    def no_number(self, packed):
        self.answer(packed, length="many")

    def empty(self, packed):
        self.answer(b"")

    def wrong(self, packed):
        self.answer(gzip.compress(b"another file"))

    def html(self, packed):
        self.answer(b"<!DOCTYPE html><title>Log in</title>", Content_Type="text/html")

    def missing(self, packed):
        self.answer(b"not here", status=404)

    def broken(self, packed):
        self.answer(b"oops", status=500)

    def corrupt(self, packed):
        middle = len(packed) // 2
        self.answer(packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :])

    def tar_without(self, packed):
        self.answer(archive("folder/other", self.server.content))

    def tar_none(self, packed):
        self.answer(packed)

    def round(self, packed):
        self.answer(b"", status=302, Location=self.server.address("round"))

    def silent(self, packed):
        self.server.over.wait(300)

    def hang(self, packed):
        """Sends a half, and waits."""
        self.cut(packed)
        self.wfile.flush()
        self.server.halfway.set()
        self.server.over.wait(300)

    def drip(self, packed):
        """Never stops sending, and never gets anywhere."""
        self.begin(len(packed))
        for i in range(len(packed)):
            self.wfile.write(packed[i : i + 1])
            time.sleep(0.0005)

    def endless(self, packed):
        """Sends far more than anybody wants."""
        self.begin("")
        for _ in range(1000):
            self.wfile.write(bytes(2**16))

    def bomb(self, packed):
        self.answer(gzip.compress(bytes(2**22)))


def archive(name: str, content: bytes) -> bytes:
    """A .tar.gz with one file in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
