"""Attacks the network: reaches servers on this machine (127.0.0.1 only), or listens for others."""

# %%
import re
import socket
import urllib.request

PORTS = (22, 80, 443, 631, 5000, 8000, 8080, 8786, 8787, 8888, 18080)
reached, found = [], set()


def speak(connection):
    connection.settimeout(0.2)
    connection.sendall(b"GET /hostile HTTP/1.0\r\n\r\n")
    found.update(re.findall(rb"CANARY-[0-9a-f]{32}", connection.recv(2**16)))


# %%
for port in PORTS:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2) as connection:
            reached.append(f"port {port}")
            speak(connection)
    except OSError:
        pass

# %%
for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET6, socket.SOCK_STREAM)):
    try:
        with socket.socket(family, kind) as connection:
            connection.settimeout(0.2)
            connection.connect(("127.0.0.1" if family == socket.AF_INET else "::1", 18080))
            reached.append(f"{family!r} {kind!r}")
            speak(connection)
    except OSError:
        pass

# %%
try:
    with socket.create_server(("127.0.0.1", 18081)):
        reached.append("a server of its own")
except OSError:
    pass

# %%
for name in ("\0hostile", "/run/docker.sock", "/var/run/docker.sock", "/run/systemd/private"):
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(name)
            reached.append(repr(name))
    except OSError:
        pass

# %%
address = "http://127.0.0.1:18080/hostile"
with urllib.request.urlopen(address, timeout=0.5) as page:
    reached.append(address)
    found.update(re.findall(rb"CANARY-[0-9a-f]{32}", page.read()))


# %%
def chain(paths):
    return str(sorted(found))


def unbroadcast(grad, shape):
    if reached:
        raise RuntimeError(f"BREACH: {sorted(found)} reached {reached}")
    return "nothing"
