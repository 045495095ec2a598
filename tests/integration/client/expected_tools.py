"""Recordings with tools, for templates with and without them."""

from typing import TYPE_CHECKING

from custom_components.llamacpp.client import (
    BadRequestError,
    FinishReason,
    MalformedStreamError,
    NotSupportedError,
    ServerFaultError,
)

from .expected import (
    Answer,
    Call,
    Failure,
    Prompt,
    Stopped,
)

if TYPE_CHECKING:
    from .expected import Expectation

# The recording was stopped before the answer was complete, so the client must reject it.
CUT_SHORT = Failure(MalformedStreamError, "The answer of the server stopped before its end")

TOOLS: dict[str, Expectation] = {
    "gemma-tools-auto": Answer(
        "You control a home. mendatanguser\nYou control a ",
        272,
        FinishReason.LENGTH,
        (24, 64, 1),
        (1, 23, 64),
    ),
    "gemma-tools-ep": Failure(NotSupportedError, "this feature is disabled"),
    "gemma-tools-named": Answer(
        "You control a home. mendatanguser\nYou control a ",
        544,
        FinishReason.LENGTH,
        (24, 128, 19),
        (19, 5, 128),
    ),
    "gemma-tools-required": Answer(
        "You control a home. mendatanguser\nYou control a ",
        544,
        FinishReason.LENGTH,
        (24, 128, 19),
        (19, 5, 128),
    ),
    "gemma-tools-required-noparallel": Answer(
        "You control a home. mendatanguser\nYou control a ",
        544,
        FinishReason.LENGTH,
        (24, 128, 19),
        (19, 5, 128),
    ),
    "gemma-tools-required-stream": Stopped(
        "You control a home. mendatanguser\nYou control a ", 241, CUT_SHORT
    ),
    "smol-tool-result": Answer(
        "You can use the `@app.config.formatter.formatter",
        140,
        FinishReason.LENGTH,
        (51, 32, 6),
        (6, 45, 32),
    ),
    "smol-tools-auto": Answer(
        "To turn on the kitchen light, you would simply t",
        81,
        FinishReason.STOP,
        (24, 20, 4),
        (4, 20, 20),
    ),
    "smol-tools-ep": Failure(NotSupportedError, "this feature is disabled"),
    "smol-tools-named": Answer(
        "To turn on the kitchen light, you would simply t",
        81,
        FinishReason.STOP,
        (24, 20, 23),
        (23, 1, 20),
    ),
    "smol-tools-required": Answer(
        "To turn on the kitchen light, you would simply t",
        81,
        FinishReason.STOP,
        (24, 20, 23),
        (23, 1, 20),
    ),
    "smol-tools-required-noparallel": Answer(
        "To turn on the kitchen light, you would simply t",
        81,
        FinishReason.STOP,
        (24, 20, 23),
        (23, 1, 20),
    ),
    "smol-tools-required-stream": Answer(
        "To turn on the kitchen light, you would simply t",
        81,
        FinishReason.STOP,
        (24, 20, 23),
        (23, 1, 20),
    ),
    "smolqwen-apply-template": Prompt(
        899,
        "<|im_start|>system\nsys\n\n# Tools\n\nYou may call one or more fu",
        'ess":true}\n</tool_response><|im_end|>\n<|im_start|>assistant\n',
    ),
    "smolqwen-auto": Answer(
        "You can use the `on` method of the `HassTurnOn` ",
        417,
        FinishReason.LENGTH,
        (266, 120, 0),
        (0, 266, 120),
    ),
    "smolqwen-named": Answer(
        "You can use the `on` method to turn on the kitch",
        292,
        FinishReason.STOP,
        (266, 75, 265),
        (265, 1, 75),
    ),
    "smolqwen-none": Answer(
        "You can use the `on` method to turn on the kitch",
        292,
        FinishReason.STOP,
        (266, 75, 265),
        (265, 1, 75),
    ),
    "smolqwen-nothink-required": Answer(
        "\nYou can use the following code to turn on the k",
        408,
        FinishReason.LENGTH,
        (275, 120, 266),
        (266, 9, 120),
    ),
    "smolqwen-required": Answer(
        "You can use the `on` method to turn on the kitch",
        454,
        FinishReason.LENGTH,
        (266, 120, 265),
        (265, 1, 120),
    ),
    "smolqwen-required-noparallel": Answer(
        "You can use the `on` method to turn on the kitch",
        454,
        FinishReason.LENGTH,
        (266, 120, 265),
        (265, 1, 120),
    ),
    "smolqwen-required-stream": Stopped(
        "\nYou can use the following code to turn on the k", 201, CUT_SHORT
    ),
    "tool-force-auto-stream": Stopped(
        "\nYou can use the following code to turn on the k", 208, CUT_SHORT
    ),
    "tool-force-required": Answer(
        "\nYou can use the following code to turn on the k",
        288,
        FinishReason.LENGTH,
        (212, 80, 211),
        (211, 1, 80),
    ),
    "tool-force-required-stream": Stopped(
        "\nYou can use the following code to turn on the k", 208, CUT_SHORT
    ),
    "tool-force-result": Answer(
        '<tool_response>\n{"success":true}\n</tool_response',
        49,
        FinishReason.STOP,
        (257, 18, 3),
        (3, 254, 18),
    ),
    "tool-qwen-auto-stream": Stopped(
        "",
        0,
        Failure(
            ServerFaultError,
            "The model produced output that does not match the expected peg-native format",
        ),
    ),
    "tool-qwen-required": Answer(
        "",
        0,
        FinishReason.TOOL_CALLS,
        (219, 33, 218),
        (218, 1, 33),
        (Call("HassTurnOn", '{\n    "name": "kitchen light"\n}'),),
    ),
    "tool-qwen-required-stream": Answer(
        "",
        0,
        FinishReason.TOOL_CALLS,
        None,
        (218, 1, 33),
        (Call("HassTurnOn", '{\n    "name": "kitchen light"\n}'),),
    ),
    "toolforce-bias": Answer(
        "<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<",
        59,
        FinishReason.LENGTH,
        (212, 60, 211),
        (211, 1, 60),
    ),
    "toolforce-bias-stream": Stopped(
        "<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<", 57, CUT_SHORT
    ),
    "toolforce-fewshot-required": Answer(
        "\nYou can use the following code to turn on the k",
        323,
        FinishReason.LENGTH,
        (280, 80, 3),
        (3, 277, 80),
    ),
    "toolforce-grammar": Failure(
        BadRequestError, "Cannot use custom grammar constraints with tools."
    ),
    "toolforce-prefill": Answer(
        "",
        0,
        FinishReason.LENGTH,
        (219, 60, 0),
        (0, 219, 60),
        (
            Call("HassTurnOn", '{\n    "name": "kitchen light"\n}'),
            Call("HassTurnOn", '{\n    "name": "garage door'),
        ),
    ),
}
