"""The web application, and what is started for it."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web

from . import admin, api
from .catalog import Catalog
from .choice import Choice
from .connections import Connections
from .conversations import ConversationStore
from .discovery import Discovery
from .download import Downloader
from .errors import AppError
from .guard import (
    INGRESS_ADDRESS,
    MAX_BODY_BYTES,
    bearer,
    errors_as_json,
    only_from,
    rate_limit,
)
from .keyless import Keyless
from .proxy import Proxy
from .runner import Runner
from .service import SERVICE, Service
from .turns import Turns
from .upstream import Upstream, local_session

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from .logs import Newest
    from .paths import Ports
    from .startup import Setup

# aiohttp waits for it twice: the whole stop must take less than ten seconds.
SHUTDOWN_SECONDS: Final = 0.5
LOOPBACK: Final = "127.0.0.1"
FIRST_PORT: Final = 18080
# The page brings all that it needs, and may be shown within Home Assistant.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
CONNECTIONS: Final = web.AppKey("connections", Connections)
PAGE_KINDS: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
}
_WEB: Final = files(__package__).joinpath("web")
PAGE_FILES: Final = (
    "page.css",
    "charts.js",
    "chat.js",
    "client.js",
    "elements.js",
    "home.js",
    "key.js",
    "models.js",
    "page.js",
    "state.js",
    "texts.js",
    # The words, of which a page asks for those of one language.
    *(f"texts/{one.name}" for one in _WEB.joinpath("texts").iterdir()),
)


async def page(request: web.Request) -> web.Response:
    """Return a file of the page."""
    name = request.match_info.get("file", "index.html")
    kind = PAGE_KINDS[name.rpartition(".")[2]]
    content = _WEB.joinpath(name).read_bytes()
    return web.Response(body=content, content_type=kind, charset="utf-8", headers=PAGE_HEADERS)


def make_application(service: Service, guard: Middleware) -> web.Application:
    """Return the API and the page behind a guard."""
    connections = Connections()
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        # Whoever has no key takes nothing from those who have one.
        middlewares=[connections.middleware(), errors_as_json, guard, rate_limit()],
    )
    app[SERVICE] = service
    app[CONNECTIONS] = connections
    app.add_routes((*api.ROUTES, *admin.ROUTES))
    app.router.add_get("/", page)
    names = "|".join(name.replace(".", r"\.") for name in PAGE_FILES)
    app.router.add_get(f"/{{file:{names}}}", page)
    return app


async def _listen(stack: AsyncExitStack, app: web.Application, host: str, port: int) -> None:
    """Serve until the stack ends. Raises AppError if the port is taken, OSError."""
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN_SECONDS,
        # A small body that unfolds to a large one would do so before anybody is asked for a key.
        auto_decompress=False,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as err:
        if err.errno != errno.EADDRINUSE:
            raise
        raise AppError(
            f"Port {port} is taken by another program: end that one, or let this one listen "
            "elsewhere by SERVER_PORT, API_PORT or INGRESS_PORT."
        ) from err
    if runner.server is not None:
        watching = asyncio.create_task(app[CONNECTIONS].watch(runner.server))
        stack.push_async_callback(_end, watching)


async def run_app(setup: Setup, session: aiohttp.ClientSession, newest: Newest) -> None:
    """Run the app until this is cancelled. Raises AppError, OSError.

    session: for downloads; what is near is asked without its proxy.
    """
    async with AsyncExitStack() as stack:
        behind = setup
        # The app has to answer while llama-server is not there, and to send the key for others.
        is_between = bool(setup.options.idle_minutes) or setup.options.is_keyless
        if is_between:
            behind = replace(setup, ports=_behind(setup.ports))
        server = f"http://{LOOPBACK}:{behind.ports.server}"
        local = await stack.enter_async_context(local_session())
        upstream = Upstream(local, server, setup.api_key)
        store = ConversationStore(setup.paths.conversations)
        await store.open()
        stack.push_async_callback(store.close)
        turns = Turns(upstream, store, setup.options.parallel_requests)
        catalog = Catalog(setup, Downloader(session, token=setup.options.hf_token, hub=setup.hub))
        keyless = Keyless(local, setup)
        runner = Runner(behind, catalog, upstream, lambda: turns.n_present)
        service = Service(
            runner=runner,
            catalog=catalog,
            choice=Choice(setup, runner, catalog, upstream),
            store=store,
            turns=turns,
            discovery=Discovery(local, setup),
            keyless=keyless,
            log_lines=newest.lines,
        )
        running = asyncio.create_task(service.run())
        stack.push_async_callback(_end, running)
        host, ports = setup.ports.host, setup.ports
        if is_between:
            passing = await stack.enter_async_context(_passing_session())
            proxy = Proxy(
                *(service.runner, passing, server, setup.api_key),
                lambda request: keyless.lets_in(request, ports.server),
            )
            await _listen(stack, _passing_application(proxy), host, ports.server)
        guard = bearer(setup.api_key, lambda request: keyless.lets_in(request, ports.api))
        await _listen(stack, make_application(service, guard), host, ports.api)
        if setup.supervisor_token is not None:
            ingress = make_application(service, only_from(INGRESS_ADDRESS))
            ingress.router.add_get("/api/key", telling(setup.api_key))
            await _listen(stack, ingress, host, ports.ingress)
        await running


def telling(api_key: str) -> Handler:
    """Return what tells the key to whoever Home Assistant has let in; nobody else learns it."""

    async def key(_request: web.Request) -> web.Response:
        return web.json_response({"api_key": api_key}, headers={"Cache-Control": "no-store"})

    return key


def _behind(ports: Ports) -> Ports:
    """Return the ports with a free one for llama-server that only this machine reaches.

    It is none of those that the system gives to outgoing connections. Raises AppError.
    """
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((LOOPBACK, port))
            except OSError:
                continue
        if port not in (ports.server, ports.api, ports.ingress):
            return replace(ports, host=LOOPBACK, server=port)
    raise AppError(
        "There is no free port for llama-server: set idle_minutes to 0, and api_key to a key."
    )


def _passing_application(proxy: Proxy) -> web.Application:
    """Return what stands before llama-server, which asks for the key itself."""
    connections = Connections()
    app = web.Application(middlewares=[connections.middleware()])
    app[CONNECTIONS] = connections
    app.router.add_route("*", "/{path:.*}", proxy.answer)
    return app


def _passing_session() -> aiohttp.ClientSession:
    """Return a session of HTTP that adds nothing of its own and takes any number of requests."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
