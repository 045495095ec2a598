"""Recordings of a server with one model, without tools."""

from typing import TYPE_CHECKING

from custom_components.llamacpp.client import (
    AuthenticationError,
    BadRequestError,
    ContextExceededError,
    FinishReason,
    Model,
    ModelStatus,
    NotLlamaServerError,
    NotSupportedError,
    ServerFaultError,
    Slot,
)

from .expected import (
    Answer,
    Failure,
    Healthy,
    Json,
    Metrics,
    Models,
    Prompt,
    Props,
    Slots,
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

SERVER: dict[str, Expectation] = {
    "gemma-props": Props(
        {
            "n_ctx": 2048,
            "total_slots": 2,
            "model_alias": "demo",
            "model_path": "models/gemma-3-270m-q4_k_m.gguf",
            "model_ftype": "Q4_K - Medium",
            "build_info": "b11669-Debian",
            "is_router": False,
            "is_sleeping": False,
            "has_metrics": True,
            "has_slots": True,
        },
        NO_TOOLS,
    ),
    "gemma-props-post": Failure(
        NotSupportedError,
        "This server does not support changing global properties. Start it with `--props`",
    ),
    "smol-apply-template": Prompt(
        110,
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|",
        "m_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    ),
    "smol-asleep-health": Healthy(),
    "smol-asleep-metrics": Metrics(
        {
            "prompt_tokens_total": 1360.0,
            "prompt_tokens_cached_total": 0.0,
            "tokens_predicted_total": 2.0,
            "prompt_seconds_total": 20.1917,
            "n_tokens_max": 1361.0,
        },
        15,
    ),
    "smol-asleep-props": Props(
        {
            "n_ctx": 4096,
            "total_slots": 1,
            "model_alias": "models/SmolLM2-135M-Instruct.Q4_1.gguf",
            "model_path": "models/SmolLM2-135M-Instruct.Q4_1.gguf",
            "model_ftype": "Q4_1",
            "build_info": "b11669-Debian",
            "is_router": False,
            "is_sleeping": True,
            "has_metrics": True,
            "has_slots": True,
        },
        NO_TOOLS,
    ),
    "smol-asleep-slots": Slots((Slot(0, 4096, is_processing=False),)),
    "smol-asleep-v1-models": Models(
        (
            Model(
                "models/SmolLM2-135M-Instruct.Q4_1.gguf",
                ("models/SmolLM2-135M-Instruct.Q4_1.gguf",),
                ModelStatus.LOADED,
                4096,
                134515008,
                96576768,
            ),
        )
    ),
    "smol-bad-json": Failure(
        BadRequestError,
        "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while "
        "parsing object key - invalid literal; last read: '{b'; expected string literal",
    ),
    "smol-chat": Answer(
        "I'm glad you're happy with the result.", 38, FinishReason.STOP, (26, 11, 0), (0, 26, 11)
    ),
    "smol-chat-stream": Answer(
        "I'm glad you're happy with the", 30, FinishReason.LENGTH, None, (25, 1, 8)
    ),
    "smol-chat-stream-progress": Answer(
        "Hello! I'm", 10, FinishReason.LENGTH, (1364, 4, 0), (0, 1364, 4)
    ),
    "smol-chat-stream-usage": Answer(
        "I'm glad you're happy with the", 30, FinishReason.LENGTH, (26, 8, 25), (25, 1, 8)
    ),
    "smol-completion": Json(
        {"content": " Paris.\n\n", "id_slot": 0, "tokens_predicted": 4, "tokens_evaluated": 5}
    ),
    "smol-detokenize": Json({"content": "t\x0com"}),
    "smol-embeddings": Failure(
        NotSupportedError, "This server does not support embeddings. Start it with `--embeddings`"
    ),
    "smol-grammar": Answer("yes", 3, FinishReason.STOP, (24, 2, 14), (14, 10, 2)),
    "smol-grammar-bad": Failure(
        BadRequestError, "Failed to initialize samplers: failed to parse grammar"
    ),
    "smol-health": Healthy(),
    "smol-id-slot": Answer("Hello there", 11, FinishReason.LENGTH, (21, 2, 14), (14, 7, 2)),
    "smol-id-slot-bad": Answer("Hello there", 11, FinishReason.LENGTH, (21, 2, 20), (20, 1, 2)),
    "smol-image": Failure(
        ServerFaultError,
        "image input is not supported - hint: if this is unexpected, you may "
        "need to provide the mmproj",
    ),
    "smol-json-schema": Answer(
        '{\n  "color": "blue"\n}', 21, FinishReason.STOP, (23, 13, 14), (14, 9, 13)
    ),
    "smol-key-bad": Failure(AuthenticationError, "Invalid API Key"),
    "smol-key-missing": Failure(AuthenticationError, "Invalid API Key"),
    "smol-key-ok": Answer("The", 3, FinishReason.LENGTH, (16, 1, 0), (0, 16, 1)),
    "smol-max-tokens-0": Answer("The", 3, FinishReason.LENGTH, (1362, 1, 6), (6, 1356, 1)),
    "smol-max-tokens-1": Answer("The", 3, FinishReason.LENGTH, (1362, 1, 0), (0, 1362, 1)),
    "smol-messages": Json(
        {
            "content": [{"type": "text", "text": "I'm glad you're enjoying"}],
            "stop_reason": "max_tokens",
            "usage": {"cache_read_input_tokens": 31, "input_tokens": 1, "output_tokens": 6},
        }
    ),
    "smol-metrics": Metrics(
        {
            "prompt_tokens_total": 4240.0,
            "prompt_tokens_cached_total": 278.0,
            "tokens_predicted_total": 203.0,
            "prompt_seconds_total": 111.906,
            "n_tokens_max": 1367.0,
        },
        15,
    ),
    "smol-models-load": Failure(BadRequestError, "File Not Found"),
    "smol-n-predict-0": Json(
        {"content": "'s", "id_slot": 1, "tokens_predicted": 1, "tokens_evaluated": 2}
    ),
    "smol-no-messages": Failure(BadRequestError, "'messages' is required"),
    "smol-notfound": Failure(BadRequestError, "File Not Found"),
    "smol-props": Props(
        {
            "n_ctx": 2048,
            "total_slots": 2,
            "model_alias": "demo",
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
    "smol-props-post": Failure(
        NotSupportedError,
        "This server does not support changing global properties. Start it with `--props`",
    ),
    "smol-responses": Json(
        {
            "status": "completed",
            "usage": {
                "input_tokens": 32,
                "output_tokens": 6,
                "total_tokens": 38,
                "input_tokens_details": {"cached_tokens": 7},
            },
        }
    ),
    "smol-slot-badname": Failure(BadRequestError, "Invalid filename"),
    "smol-slot-erase": Json({"id_slot": 0, "n_erased": 1362}),
    "smol-slot-restore": Json(
        {"id_slot": 0, "filename": "smol-a.bin", "n_restored": 1362, "n_read": 31403048}
    ),
    "smol-slot-restore-missing": Failure(
        BadRequestError,
        "Unable to restore slot: No available space in KV cache or invalid slot save file",
    ),
    "smol-slot-save": Json(
        {"id_slot": 0, "filename": "smol-a.bin", "n_saved": 1362, "n_written": 31403048}
    ),
    "smol-slot-save1": Json(
        {"id_slot": 1, "filename": "smol-b.bin", "n_saved": 2, "n_written": 46888}
    ),
    "smol-slots": Slots(
        (
            Slot(0, 2048, is_processing=False),
            Slot(1, 2048, is_processing=False),
        )
    ),
    "smol-tokenize": Failure(NotLlamaServerError, "The server's answer has no list of tokens"),
    "smol-too-long": Failure(
        ContextExceededError,
        "request (4050 tokens) exceeds the available context size (2048 tokens), try increasing it",
        {"n_prompt_tokens": 4050, "n_ctx": 2048},
    ),
    "smol-transcriptions": Failure(
        NotSupportedError, "The current model does not support audio input."
    ),
    "smol-unknown-model": Answer("Hello there", 11, FinishReason.LENGTH, (21, 2, 20), (20, 1, 2)),
    "smol-v1-models": Models(
        (Model("demo", ("demo",), ModelStatus.LOADED, 2048, 134515008, 96576768),)
    ),
    "smol-x-api-key": Answer("The", 3, FinishReason.LENGTH, (16, 1, 15), (15, 1, 1)),
}
