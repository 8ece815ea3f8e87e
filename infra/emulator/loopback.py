"""Ports and networks of the loopback interface, the only one that anything here listens on, and what speaks HTTP there."""

import json
import random
import socket
import urllib.error
import urllib.request

from .processes import Trouble

HOST = "127.0.0.1"
PORTS = range(4800, 4900)
# The agents' networks, 127.N.0.0: members live at their private addresses, all on one port.
NETWORKS = range(78, 98)
TIMEOUT_SECONDS = 10.0


def is_free(host: str, port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """By chance, so that two worlds that start together seldom meet."""
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(HOST, port))


def reserve_network(agent_port: int) -> tuple[str, socket.socket]:
    """A network that no other world of this machine has, for as long as the socket is open: one that listens at its first address, which no
    instance gets. Agents do not say whose they are, so two worlds in one network would hear each other's."""
    for n in NETWORKS:
        guard = socket.socket()
        try:
            guard.bind((f"127.{n}.0.1", agent_port))
            guard.listen()
        except OSError:
            guard.close()
            continue
        return f"127.{n}.0.0", guard
    raise Trouble(f"no network from 127.{NETWORKS[0]}.0.0 to 127.{NETWORKS[-1]}.0.0 is free")


def call(method: str, url: str, body: object = None) -> object:
    """An answer in JSON, or none where nothing was said."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        said = answer.read()
    return json.loads(said) if said else None


def answers(url: str) -> bool:
    try:
        call("GET", url)
    except (urllib.error.URLError, OSError, ValueError):
        return False
    return True
