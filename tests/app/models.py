"""Two models by their published numbers."""

from dataclasses import replace

from llamacpp_app.gguf import GgufInfo

# Gemma 3 1B in Q4_K_M, the default model.
GEMMA = GgufInfo(
    architecture="gemma3",
    name="Gemma 3 1b It",
    n_params=999_885_952,
    n_layers=26,
    n_ctx_train=32768,
    n_embd=1152,
    n_heads=4,
    n_kv_heads=26,
    key_length=256,
    value_length=256,
    sliding_window=512,
    split_no=0,
    split_count=1,
    has_chat_template=True,
    tensor_bytes=800_000_000,
    file_bytes=806_000_000,
    n_sliding_kv_heads=22,
)
# A model of 8 thousand million parameters with full attention in all layers.
LLAMA = replace(
    GEMMA,
    architecture="llama",
    n_ctx_train=131072,
    n_embd=4096,
    n_kv_heads=32 * 8,
    key_length=128,
    value_length=128,
    sliding_window=None,
    tensor_bytes=4_900_000_000,
    file_bytes=4_908_000_000,
    n_sliding_kv_heads=0,
)
