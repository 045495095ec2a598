"""Programs other than llama-server, which answer as their documentation says."""

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from dev.llama import LlamaServer

    from .peers import Handler, Peers

UNTRUSTED = {"error": {"message": "Authentication Error, No api key passed in.", "code": "401"}}


def _listed(owner: str, *names: str) -> web.Response:
    models = [{"id": one, "object": "model", "created": 1, "owned_by": owner} for one in names]
    return web.json_response({"object": "list", "data": models})


async def ollama(request: web.Request) -> web.Response:
    """Answer as Ollama does."""
    match request.path:
        case "/":
            return web.Response(text="Ollama is running")
        case "/api/version":
            return web.json_response({"version": "0.12.6"})
        case "/v1/models":
            return _listed("library", "llama3.2:latest")
    return web.Response(status=404, text="404 page not found")


async def ollama_behind_a_page(request: web.Request) -> web.Response:
    """Answer as Ollama behind a proxy with another first page."""
    if request.path == "/":
        return web.Response(text="<html>", content_type="text/html")
    return await ollama(request)


async def lm_studio(request: web.Request) -> web.Response:
    """Answer as LM Studio does."""
    if request.path == "/v1/models":
        return _listed("organization_owner", "qwen2.5-7b-instruct")
    return web.json_response({"error": f"Unexpected endpoint or method. (GET {request.path})"})


async def vllm(request: web.Request) -> web.Response:
    """Answer as vLLM does."""
    match request.path:
        case "/health":
            return web.Response()
        case "/version":
            return web.json_response({"version": "0.11.0"})
        case "/v1/models":
            return _listed("vllm", "Qwen/Qwen3-4B")
    return web.json_response({"detail": "Not Found"}, status=404)


async def vllm_with_a_key(request: web.Request) -> web.Response:
    """Answer as vLLM with an API key."""
    if request.path.startswith("/v1/"):
        return web.json_response({"error": "Unauthorized"}, status=401)
    return await vllm(request)


OTHERS: Mapping[str, tuple[Handler, ...]] = {
    "is_ollama": (ollama, ollama_behind_a_page),
    "is_lm_studio": (lm_studio,),
    "is_vllm": (vllm, vllm_with_a_key),
}


class InFront:
    """A program in front of a real llama-server, which records requests."""

    def __init__(
        self, session: aiohttp.ClientSession, server: LlamaServer, api_key: str | None = None
    ) -> None:
        """Pass requests on to this server, with this key."""
        self._session = session
        self._server = server
        self.api_key = api_key
        self.models = ["apple", "author/pear"]
        # Another answer, if a test sets one.
        self.gone = False
        self.asked: list[str] = []
        self.chats: list[dict[str, Any]] = []

    async def start(self, peers: Peers) -> str:
        """Start; return the address."""
        return await peers.http(self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    def _is_trusted(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization")
        return self.api_key is None or given == f"Bearer {self.api_key}"

    async def _forward(self, request: web.Request, path: str) -> web.StreamResponse:
        body = await request.read()
        headers = {"Content-Type": "application/json", "Connection": "close"}
        url = self._server.base_url + path
        async with self._session.request(
            request.method, url, data=body or None, headers=headers
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )
            await response.prepare(request)
            async for line in answer.content:
                await response.write(self._passed_on(line))
        return response

    def _passed_on(self, line: bytes) -> bytes:
        return line


class LlamaSwap(InFront):
    """llama-swap: all models in one server. running: the models it has started."""

    running: tuple[str, ...] = ()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        match request.path:
            case _ if self.gone:
                return web.Response(status=404)
            case "/health":
                return web.Response(text="OK")
            case "/":
                raise web.HTTPFound("/ui")
        if not request.path.startswith(("/running", "/v1/", "/upstream/")):
            return web.Response(status=404)
        if not self._is_trusted(request):
            return web.json_response({"error": "unauthorized: missing api key"}, status=401)
        return await self._answer_trusted(request)

    async def _answer_trusted(self, request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/running":
                running = [{"model": one, "state": "ready"} for one in self.running]
                return web.json_response({"running": running})
            case "/v1/models":
                return _listed("llama-swap", *self.models)
            case "/v1/chat/completions" | "/v1/completions":
                body = await request.json()
                if body.get("model") not in self.models:
                    return web.json_response({"error": "missing model"}, status=400)
                self.chats.append(body)
                self.running = (body["model"],)
                return await self._forward(request, request.path)
        name = next((one for one in self.models if f"/upstream/{one}/" in request.path), None)
        if name is None:
            return web.json_response({"error": "model id required in path"}, status=400)
        self.running = (name,)
        return await self._forward(request, request.path.removeprefix(f"/upstream/{name}"))


class LiteLlm(InFront):
    """LiteLLM: its models in one server."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path == "/health/liveliness":
            return web.json_response("I'm alive!")
        if request.path not in ("/health", "/v1/models", "/v1/chat/completions"):
            return web.json_response({"detail": "Not Found"}, status=HTTPStatus.NOT_FOUND)
        if not self._is_trusted(request):
            return web.json_response(UNTRUSTED, status=HTTPStatus.UNAUTHORIZED)
        if request.path == "/v1/models":
            return _listed("openai", *self.models)
        if request.path == "/health":
            return web.json_response({"healthy_endpoints": [], "unhealthy_endpoints": []})
        self.chats.append(await request.json())
        return await self._forward(request, request.path)

    def _passed_on(self, line: bytes) -> bytes:
        """Leave out fields that OpenAI's answers do not have."""
        if not line.startswith(b"data: {"):
            return line
        chunk = json.loads(line.removeprefix(b"data: "))
        kept = {key: chunk[key] for key in ("id", "choices", "created", "usage") if key in chunk}
        return b"data: " + json.dumps(kept).encode() + b"\n"
