"""The command line of llama-server for the app's options."""

from __future__ import annotations

import contextlib
from configparser import ConfigParser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .flags import DRAFT, DRAFT_TYPES, OF_MODEL_FILES, by_flag, files_of
from .gguf import GgufError, read_gguf
from .memory import KV_TYPES, Beside, bytes_per_value
from .options import OptionsError
from .slots import prepare_slots

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .gguf import GgufInfo
    from .options import Options
    from .paths import Paths, Ports

# A larger template than any model's own.
MAX_TEMPLATE_BYTES: Final = 256 * 1024
# llama-server's levels up to information: above it, prompts are logged.
VERBOSITY: Final = {"debug": 3, "info": 3, "warning": 2, "error": 1}
# In router mode, more models in memory than one are too much for most machines.
MODELS_IN_MEMORY: Final = 1
# As many tokens as are computed at once in any case.
BATCH_SIZE: Final = 512


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that can be served. path: its file, the first of several. projector: for pictures.

    signature: changes whenever its files do.
    """

    name: str
    path: Path
    projector: Path | None = None
    signature: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """What llama-server is started with.

    models: at least one, the first is loaded at once. rpc_servers: those that answer. cache_mib:
    memory for prompts that are not in use just now, in MiB; None: llama-server's own default.
    checkpoints: of each conversation, None: llama-server's own default.
    slots: conversations that it holds, None: as many as are answered at the same time.
    context_size: tokens of one conversation, None: as the option says. on_card: a graphics card
    computes.
    """

    ports: Ports
    models: tuple[LocalModel, ...]
    rpc_servers: tuple[str, ...] = ()
    cache_mib: int | None = None
    checkpoints: int | None = None
    slots: int | None = None
    context_size: int | None = None
    on_card: bool = False


def server_command(options: Options, paths: Paths, launch: Launch) -> list[str]:
    """Return the command line; the preset file of several models is written for it.

    One model is served alone, several by llama-server's router. Raises OptionsError for a chat
    template that is none, OSError if a file cannot be written.
    """
    slots = launch.slots or options.parallel_requests
    command = [
        str(paths.server),
        *("--host", launch.ports.host, "--port", str(launch.ports.server)),
        *("--api-key-file", str(paths.api_key)),
        *("--cors-origins", "localhost"),
        *("--metrics", "--no-ui"),
        *("--log-verbosity", str(VERBOSITY[options.log_level])),
        *("--parallel", str(slots)),
        # Our context is that of one conversation, llama-server's that of all together.
        *("--ctx-size", str((launch.context_size or options.context_size) * slots)),
        *_offloading(options, launch),
        *("--flash-attn", options.flash_attention),
        # Who asks for thoughts in a request gets them all the same.
        *("--reasoning", options.reasoning),
        *("--cache-type-k", options.cache_type, "--cache-type-v", options.cache_type),
        # A prefill gives way to a user's question after each batch.
        *("--batch-size", str(BATCH_SIZE)),
        # Processed prompts outlive a restart, sleep and a change of models.
        *("--slot-save-path", f"{prepare_slots(paths.slots)}/"),
        # What stays in its slot need not be copied whenever another one is asked.
        "--no-cache-idle-slots",
    ]
    if launch.cache_mib is not None:
        command += ["--cache-ram", str(launch.cache_mib)]
    if launch.checkpoints is not None:
        command += ["--ctx-checkpoints", str(launch.checkpoints)]
    if options.threads:
        command += ["--threads", str(options.threads)]
    if options.embeddings:
        command += ["--embeddings"]
        if "--pooling" not in options.extra_arguments:
            # Without it, models made for chat cannot tell the meaning of a whole text.
            command += ["--pooling", "mean"]
    if launch.rpc_servers:
        command += ["--rpc", ",".join(launch.rpc_servers)]
    command += _extra(options)
    if len(launch.models) == 1:
        return command + _single(options, paths, launch.models[0])
    _write_preset(options, paths, launch.models)
    return [
        *command,
        *("--models-preset", str(paths.preset)),
        *("--models-max", str(MODELS_IN_MEMORY)),
    ]


def _offloading(options: Options, launch: Launch) -> list[str]:
    """Return what computes besides the processor: graphics cards and workers, or nothing."""
    if launch.on_card or launch.rpc_servers:
        layers = "auto" if options.gpu_layers is None else str(options.gpu_layers)
        return ["--n-gpu-layers", layers]
    # Long prompts and pictures would go to a card even if no layer does.
    return ["--n-gpu-layers", "0", "--device", "none", "--no-mmproj-offload"]


def _single(options: Options, paths: Paths, model: LocalModel) -> list[str]:
    arguments = ["--model", str(model.path), "--alias", model.name]
    for name, value in _files(options, paths, model).items():
        arguments += [f"--{name}", value]
    if template := _chat_template(options, paths):
        arguments += ["--chat-template-file", str(template)]
    return arguments


def _write_preset(options: Options, paths: Paths, models: Sequence[LocalModel]) -> None:
    """Write llama-server's preset file; the chat template is that of the first model."""
    preset = ConfigParser(interpolation=None, default_section="*")
    for number, model in enumerate(models):
        section = {"model": str(model.path), **_files(options, paths, model)}
        if number == 0:
            section["load-on-startup"] = "true"
            if template := _chat_template(options, paths):
                section["chat-template-file"] = str(template)
        preset[model.name] = section
    with paths.preset.open("w") as file:
        file.write("version = 1\n")
        preset.write(file)


def _extra(options: Options) -> list[str]:
    """Return the further arguments that are for all models."""
    flags = by_flag(options.extra_arguments)
    return [one for flag, values in flags if flag not in OF_MODEL_FILES for one in (flag, *values)]


def _files(options: Options, paths: Paths, model: LocalModel) -> dict[str, str]:
    """Return what belongs to one model, by names of flags: its projector, and further files.

    Raises OptionsError.
    """
    return {
        flag.removeprefix("--"): ",".join(f"{path}{rest}" for path, rest in files)
        for flag, files in _files_beside(options, paths, model).items()
    }


def _files_beside(
    options: Options, paths: Paths, model: LocalModel
) -> dict[str, list[tuple[Path, str]]]:
    """Return what is loaded with a model by flags, each file with what stands behind its name.

    The files of the further arguments belong to the model of the options. Raises OptionsError.
    """
    files = {"--mmproj": [(model.projector, "")]} if model.projector else {}
    if model.name != options.configured_models()[0].name:
        return files
    for flag, values in by_flag(options.extra_arguments):
        if flag in OF_MODEL_FILES:
            files[flag] = [
                (_model_file(paths, flag, name), rest) for name, rest in files_of(flag, values[0])
            ]
    return files


def loaded_beside(options: Options, paths: Paths, model: LocalModel) -> Beside:
    """Return what memory depends on of the files that are loaded with a model.

    Raises OptionsError, and OSError if a file cannot be read.
    """
    files = {
        flag: [path for path, _ in named]
        for flag, named in _files_beside(options, paths, model).items()
    }
    draft: GgufInfo | None = None
    # What is wrong with a draft is told by llama-server.
    with contextlib.suppress(GgufError):
        if DRAFT in files:
            draft = read_gguf(files[DRAFT][0])
            del files[DRAFT]
    given = dict(by_flag(options.extra_arguments))
    types = [given[flag][0] if flag in given else "f16" for flag in DRAFT_TYPES]
    known = [one for one in types if one in KV_TYPES]
    return Beside(
        file_bytes=sum(path.stat().st_size for one in files.values() for path in one),
        draft=draft,
        draft_kv_type=max(known, key=bytes_per_value, default="f16"),
    )


def _model_file(paths: Paths, flag: str, name: str) -> Path:
    path = paths.models / name
    if not path.is_file():
        raise OptionsError(
            f"The option extra_arguments names {name} behind {flag}, which is no file of the app's "
            "folder of models: put it there, or take the flag out."
        )
    return path


def _chat_template(options: Options, paths: Paths) -> Path | None:
    """Return the file of the chat template that is set: one in the config folder, or its text."""
    wanted = options.chat_template
    if wanted is None:
        return None
    if "\n" not in wanted and wanted.endswith(".jinja"):
        path = (paths.config / wanted).resolve()
        if not path.is_relative_to(paths.config.resolve()) or not path.is_file():
            raise OptionsError(
                f"The option chat_template names {wanted}, which is no file of the app's config "
                "folder."
            )
        if path.stat().st_size > MAX_TEMPLATE_BYTES:
            raise OptionsError(f"The chat template {wanted} is larger than 256 KB.")
        return path
    if "{" not in wanted or len(wanted) > MAX_TEMPLATE_BYTES:
        # A mere name would become the prompt itself, word for word.
        raise OptionsError(
            "The option chat_template must be a Jinja template, or the name of a .jinja file in "
            "the app's config folder."
        )
    paths.chat_template.write_text(wanted)
    return paths.chat_template
