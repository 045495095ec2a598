"""Kinds of models by their memory of a prompt, which llama-server rewinds and saves differently.

The layers are those of llama.cpp's architectures, and compute nothing; `scripted_model.py` decides
what a model says.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import gguf

    type Shapes = dict[str, tuple[int, ...]]

WIDTH = 128
CONTEXT_TOKENS = 32768
N_HEADS = 1
EPSILON = 1e-5
# The sliding window, as in Gemma 3 1B.
WINDOW_TOKENS = 512
# Every sixth layer of Gemma has full attention.
N_GEMMA_LAYERS = 6
# Tokens of a convolution, and the sizes of the states of recurrent layers.
N_CONVOLVED = 4
N_SHORTLY_CONVOLVED = 3
STATE = 64
N_STATES = 4
INNER = STATE * N_STATES

_SQUARE = (WIDTH, WIDTH)
_FEED_FORWARD: Shapes = {
    "ffn_gate.weight": _SQUARE,
    "ffn_up.weight": _SQUARE,
    "ffn_down.weight": _SQUARE,
}
_NORMS: Shapes = {"attn_norm.weight": (WIDTH,), "ffn_norm.weight": (WIDTH,)}
_ATTENTION: Shapes = {
    "attn_q.weight": _SQUARE,
    "attn_k.weight": _SQUARE,
    "attn_v.weight": _SQUARE,
    "attn_output.weight": _SQUARE,
}
_HEAD_NORMS: Shapes = {"attn_q_norm.weight": (WIDTH,), "attn_k_norm.weight": (WIDTH,)}
_SHORT_CONVOLUTION: Shapes = {
    "shortconv.conv.weight": (WIDTH, N_SHORTLY_CONVOLVED),
    "shortconv.in_proj.weight": (3 * WIDTH, WIDTH),
    "shortconv.out_proj.weight": _SQUARE,
}
_MAMBA: Shapes = {
    "ssm_in.weight": (2 * INNER + 2 * STATE + N_STATES, WIDTH),
    "ssm_conv1d.weight": (INNER + 2 * STATE, N_CONVOLVED),
    "ssm_conv1d.bias": (INNER + 2 * STATE,),
    "ssm_dt.bias": (N_STATES,),
    "ssm_a": (N_STATES, 1),
    "ssm_d": (N_STATES, 1),
    "ssm_norm.weight": (1, INNER),
    "ssm_out.weight": (WIDTH, INNER),
}
_DELTA_NET: Shapes = {
    "attn_qkv.weight": (3 * INNER, WIDTH),
    "attn_gate.weight": (INNER, WIDTH),
    "ssm_conv1d.weight": (3 * INNER, N_CONVOLVED),
    "ssm_dt.bias": (N_STATES,),
    "ssm_a": (N_STATES,),
    "ssm_beta.weight": (N_STATES, WIDTH),
    "ssm_alpha.weight": (N_STATES, WIDTH),
    "ssm_norm.weight": (STATE,),
    "ssm_out.weight": (WIDTH, INNER),
}
_QWEN_NORMS: Shapes = {"attn_norm.weight": (WIDTH,), "post_attention_norm.weight": (WIDTH,)}


@dataclass(frozen=True, slots=True)
class ModelKind:
    """A kind of model.

    architecture: in llama.cpp. layers: for each, the shapes of its tensors. settings: adds those
    that not all kinds have. output_norm: the norm after the last layer.
    """

    architecture: str
    layers: tuple[Shapes, ...]
    settings: Callable[[gguf.GGUFWriter], None]
    output_norm: str = "output_norm"

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        """Write the settings and the layers."""
        writer.add_context_length(CONTEXT_TOKENS)
        writer.add_embedding_length(WIDTH)
        writer.add_block_count(len(self.layers))
        writer.add_feed_forward_length(WIDTH)
        writer.add_head_count(N_HEADS)
        writer.add_layer_norm_rms_eps(EPSILON)
        self.settings(writer)
        for number, shapes in enumerate(self.layers):
            for name, shape in shapes.items():
                writer.add_tensor(f"blk.{number}.{name}", _filled(name, shape))
        writer.add_tensor(f"{self.output_norm}.weight", np.ones(WIDTH, dtype=np.float32))


def _filled(name: str, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    """Return a tensor with which its layer computes nothing."""
    if "norm" in name:
        return np.ones(shape, dtype=np.float32)
    is_matrix = name.endswith(".weight") and "conv.weight" not in name and "conv1d" not in name
    return np.zeros(shape, dtype=np.float16 if is_matrix else np.float32)


def _attention(writer: gguf.GGUFWriter) -> None:
    writer.add_head_count_kv(N_HEADS)


def _sliding(writer: gguf.GGUFWriter) -> None:
    writer.add_head_count_kv(N_HEADS)
    writer.add_sliding_window(WINDOW_TOKENS)


def _short_convolution(writer: gguf.GGUFWriter) -> None:
    # A layer without heads is recurrent.
    writer.add_head_count_kv([0, N_HEADS])
    writer.add_shortconv_l_cache(N_SHORTLY_CONVOLVED)


def _states(writer: gguf.GGUFWriter, n_groups: int) -> None:
    writer.add_ssm_conv_kernel(N_CONVOLVED)
    writer.add_ssm_inner_size(INNER)
    writer.add_ssm_state_size(STATE)
    writer.add_ssm_time_step_rank(N_STATES)
    writer.add_ssm_group_count(n_groups)


def _mamba(writer: gguf.GGUFWriter) -> None:
    _states(writer, 1)


def _mamba_and_attention(writer: gguf.GGUFWriter) -> None:
    writer.add_head_count_kv([0, N_HEADS])
    _states(writer, 1)


def _delta_net(writer: gguf.GGUFWriter) -> None:
    writer.add_head_count_kv(N_HEADS)
    writer.add_full_attention_interval(2)
    writer.add_rope_dimension_sections([WIDTH // 8, WIDTH // 8, WIDTH // 8, 0])
    _states(writer, N_STATES)


_WHOLE = _NORMS | _ATTENTION | _FEED_FORWARD
_GEMMA = (
    _WHOLE
    | _HEAD_NORMS
    | {"post_attention_norm.weight": (WIDTH,), "post_ffw_norm.weight": (WIDTH,)}
)
_QWEN = _QWEN_NORMS | _FEED_FORWARD
ATTENTION = ModelKind("llama", (_WHOLE,), _attention)
KINDS = {
    "attention": ATTENTION,
    "sliding": ModelKind("gemma3", (_GEMMA,) * N_GEMMA_LAYERS, _sliding),
    "short convolution": ModelKind(
        "lfm2",
        (_NORMS | _SHORT_CONVOLUTION | _FEED_FORWARD, _WHOLE | _HEAD_NORMS),
        _short_convolution,
        output_norm="token_embd_norm",
    ),
    "state space": ModelKind(
        "granitehybrid", (_NORMS | _MAMBA | _FEED_FORWARD, _WHOLE), _mamba_and_attention
    ),
    "delta net": ModelKind(
        "qwen35",
        (
            _QWEN | _DELTA_NET,
            # Each query has a gate.
            _QWEN | _ATTENTION | _HEAD_NORMS | {"attn_q.weight": (2 * WIDTH, WIDTH)},
        ),
        _delta_net,
    ),
    "recurrent": ModelKind("mamba2", ({"attn_norm.weight": (WIDTH,)} | _MAMBA,), _mamba),
}
