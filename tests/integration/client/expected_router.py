"""Recordings of a router."""

from typing import TYPE_CHECKING

from custom_components.llamacpp.client import (
    BadRequestError,
    FinishReason,
    Model,
    ModelStatus,
)

from .expected import (
    Answer,
    Failure,
    Json,
    Models,
    Props,
)

if TYPE_CHECKING:
    from .expected import Expectation

NO_TOOLS = {
    "supports_tools": False,
    "supports_tool_calls": False,
    "supports_parallel_tool_calls": False,
    "supports_system_role": True,
    "supports_string_content": True,
}
NO_CAPS = {"supports_tools": False, "supports_system_role": False}

ROUTER: dict[str, Expectation] = {
    "router-dir-chat": Answer("Hello there", 11, FinishReason.LENGTH, (17, 2, 0), (0, 17, 2)),
    "router-dir-chat-autoload": Answer(
        "Hello there", 11, FinishReason.LENGTH, (17, 2, 0), (0, 17, 2)
    ),
    "router-dir-dl": Json({"success": True}),
    "router-dir-load": Failure(BadRequestError, "model is already running"),
    "router-dir-load-again": Failure(BadRequestError, "model is already running"),
    "router-dir-load-unknown": Failure(BadRequestError, "File Not Found"),
    "router-dir-metrics": Failure(BadRequestError, "model name is missing from the request"),
    "router-dir-models": Models(
        (
            Model("SmolLM2-135M-Instruct.Q4_1", (), ModelStatus.UNLOADED, None, None, None),
            Model("gemma-3-270m-q4_k_m", (), ModelStatus.UNLOADED, None, None, None),
        )
    ),
    "router-dir-models-after": Models(
        (
            Model("SmolLM2-135M-Instruct.Q4_1", (), ModelStatus.LOADED, 4096, 134515008, 96576768),
            Model("gemma-3-270m-q4_k_m", (), ModelStatus.UNLOADED, None, None, None),
            Model(
                "ggml-org/gemma-3-270m-it-GGUF:Q4_0", (), ModelStatus.DOWNLOADING, None, None, None
            ),
        )
    ),
    "router-dir-nomodel": Failure(BadRequestError, "model name is missing from the request"),
    "router-dir-props": Props(
        {
            "n_ctx": None,
            "total_slots": None,
            "model_alias": "llama-server",
            "model_path": "none",
            "model_ftype": "",
            "build_info": "b11669-Debian",
            "is_router": True,
            "is_sleeping": False,
            "has_metrics": False,
            "has_slots": False,
        },
        NO_CAPS,
    ),
    "router-dir-props-model": Props(
        {
            "n_ctx": 4096,
            "total_slots": 4,
            "model_alias": "SmolLM2-135M-Instruct.Q4_1",
            "model_path": "rm/SmolLM2-135M-Instruct.Q4_1.gguf",
            "model_ftype": "Q4_1",
            "build_info": "b11669-Debian",
            "is_router": False,
            "is_sleeping": False,
            "has_metrics": True,
            "has_slots": True,
        },
        NO_TOOLS,
    ),
    "router-dir-slots": Failure(BadRequestError, "model name is missing from the request"),
    "router-dir-unknown": Failure(BadRequestError, "model 'zzz' not found"),
    "router-dir-unload": Json({"success": True}),
    "router-preset-chat": Answer("Hello there", 11, FinishReason.LENGTH, (17, 2, 0), (0, 17, 2)),
    "router-preset-chat-autoload": Answer(
        "Hello there", 11, FinishReason.LENGTH, (17, 2, 0), (0, 17, 2)
    ),
    "router-preset-dl": Json({"success": True}),
    "router-preset-load": Failure(BadRequestError, "model is already running"),
    "router-preset-load-again": Failure(BadRequestError, "model is already running"),
    "router-preset-load-unknown": Failure(BadRequestError, "File Not Found"),
    "router-preset-metrics": Failure(BadRequestError, "model name is missing from the request"),
    "router-preset-models": Models(
        (
            Model("gem", (), ModelStatus.UNLOADED, None, None, None),
            Model("smol", (), ModelStatus.LOADED, 4096, 134515008, 96576768),
        )
    ),
    "router-preset-models-after": Models(
        (
            Model("gem", (), ModelStatus.UNLOADED, None, None, None),
            Model(
                "ggml-org/gemma-3-270m-it-GGUF:Q4_0", (), ModelStatus.DOWNLOADING, None, None, None
            ),
            Model("smol", (), ModelStatus.LOADED, 4096, 134515008, 96576768),
        )
    ),
    "router-preset-nomodel": Failure(BadRequestError, "model name is missing from the request"),
    "router-preset-props": Props(
        {
            "n_ctx": None,
            "total_slots": None,
            "model_alias": "llama-server",
            "model_path": "none",
            "model_ftype": "",
            "build_info": "b11669-Debian",
            "is_router": True,
            "is_sleeping": False,
            "has_metrics": False,
            "has_slots": False,
        },
        NO_CAPS,
    ),
    "router-preset-props-model": Props(
        {
            "n_ctx": 4096,
            "total_slots": 1,
            "model_alias": "smol",
            "model_path": "models/SmolLM2-135M-Instruct.Q4_1.gguf",
            "model_ftype": "Q4_1",
            "build_info": "b11669-Debian",
            "is_router": False,
            "is_sleeping": False,
            "has_metrics": True,
            "has_slots": True,
        },
        NO_TOOLS,
    ),
    "router-preset-slots": Failure(BadRequestError, "model name is missing from the request"),
    "router-preset-unknown": Failure(BadRequestError, "model 'zzz' not found"),
    "router-preset-unload": Json({"success": True}),
}
