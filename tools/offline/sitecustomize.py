"""Keeps a notebook's kernel offline: this folder stands on the PYTHONPATH of every kernel.

Python imports `sitecustomize` at its start, in child processes too. Sockets of this machine
(loopback and Unix) stay open.
"""

import ipaddress
import sys


def is_here(host: object) -> bool:
    """Whether an address is this machine's own."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return name in ("", "localhost")


def refuse_others(event: str, args: tuple) -> None:
    """Let no socket out, and look up no name; an audit hook."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        host = args[1][0] if isinstance(args[1], tuple) else None  # a Unix socket's is a path
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    else:
        return
    if not is_here(host):
        raise ConnectionRefusedError(
            f"a notebook of this book runs offline, and it asked for {host!r}; "
            "use data that is built in, or make it a study (course_lib/studies)"
        )


sys.addaudithook(refuse_others)
