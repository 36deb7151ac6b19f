"""Run a server: a socket, the engine's process, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn

from textus.errors import ConfigError, ResourceError, TextusError
from textus.serving.app import application
from textus.serving.config import Limits
from textus.serving.keys import Keys, Rates
from textus.serving.link import Link
from textus.serving.metrics import Metrics
from textus.serving.routes import Routes


@dataclass(frozen=True)
class Place:
    """Where a server listens, and who may ask."""

    host: str = "127.0.0.1"
    port: int = 8000
    keys: Keys = Keys()  # noqa: RUF009 - frozen
    anyone: bool = False
    """Whether a server without keys may be reached from other machines."""

    def bind(self) -> socket.socket:
        """Return a socket that listens there, or say why none can."""
        if not self.keys.hashes and not self.anyone and not is_loopback(self.host):
            raise ConfigError(
                f"{self.host} can be reached from other machines, and no keys are asked for",
                hint="give --key-file FILE; or --anyone, if everybody who can reach it may use it",
            )
        where, hint = f"{self.host}:{self.port}", "give another --host or --port; --port 0 takes a free one"
        if not 0 <= self.port < 2**16:
            raise ConfigError(f"{where}: ports are numbered to 65535", hint=hint)
        bound = None
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            bound = socket.socket(family, kind, protocol)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError as error:
            if bound is not None:
                bound.close()
            raise ResourceError(f"{where}: {error.strerror or error}", hint=hint) from None
        return bound

    @property
    def hosts(self) -> tuple[str, ...]:
        """Which names a request may call this server by; empty for all, where keys keep strangers out."""
        if self.keys.hashes or not is_loopback(self.host):
            return ()
        return tuple({"127.0.0.1", "localhost", "[::1]", self.host.lower()})


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server(uvicorn.Server):
    """Uvicorn's, which a signal ends in order, and whose end is no failure."""

    def __init__(self, config: uvicorn.Config, routes: Routes) -> None:
        super().__init__(config)
        self._routes = routes

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no more requests, and finish those under way; a second signal does not wait for them."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = self._routes.draining = True


async def run(
    command: Sequence[str],
    setup: Mapping[str, Any],
    place: Place,
    limits: Limits,
    said: Callable[[str, Link, Server], None],
) -> None:
    """Serve until a signal comes; `said` is called once requests are answered, with the address."""
    bound = place.bind()
    address = url(bound)
    link = Link(command, setup)
    routes = Routes(link, limits, Rates(limits), Metrics(), int(time.time()))
    config = uvicorn.Config(
        application(routes, place.keys, place.hosts),
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=int(limits.drain_seconds) or 1,
    )
    server = Server(config, routes)
    failure: TextusError | None = None

    async def keep() -> None:
        nonlocal failure
        try:
            await link.run()
        except TextusError as error:
            failure, server.should_exit = error, True

    async def announce() -> None:
        await link.ready()
        if link.state == "ready":
            said(address, link, server)

    with contextlib.closing(bound):
        tasks = [asyncio.ensure_future(keep()), asyncio.ensure_future(announce())]
        try:
            await server.serve(sockets=[bound])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if failure is not None:
        raise failure


def url(bound: socket.socket) -> str:
    """Return the address of a socket as one types it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
