"""Serve the built book on this machine only: ``python -m tools.serve _build/html``."""

import argparse
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Quiet(SimpleHTTPRequestHandler):
    """A file server that does not log each request."""

    def log_message(self, *args: object) -> None:
        pass


def make_server(folder: str, port: int = 8000) -> ThreadingHTTPServer:
    """Serve the folder on loopback, at the port asked for or at a free one if it is taken."""
    handler = partial(Quiet, directory=folder)
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the built book on this machine.")
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    with make_server(args.folder, args.port) as server:
        print(f"The book is at http://127.0.0.1:{server.server_port}/ (Ctrl+C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
