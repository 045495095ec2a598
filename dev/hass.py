"""A real Home Assistant as a child process, with a configuration folder of its own."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from .llama import answers
from .processes import LOOPBACK, ChildProcess, free_port

ROOT = Path(__file__).parents[1]
DEMO_HOME = ROOT / "dev" / "homes" / "demo.yaml"
START_SECONDS = 120.0
STOP_SECONDS = 30.0

DEV_COMPONENTS = ROOT / "dev" / "custom_components"
# An integration costs nothing until the configuration or a config flow sets it up.
INTEGRATIONS = {
    "llamacpp": ROOT / "custom_components" / "llamacpp",
    "virtual_home": DEV_COMPONENTS / "virtual_home",
    "word_overlap": DEV_COMPONENTS / "word_overlap",
}

CONFIGURATION = """\
# Written at every start.
homeassistant:
  name: Demo home
  country: IT
  currency: EUR
  language: en
  time_zone: Europe/Rome
  unit_system: metric
  latitude: 45.46
  longitude: 9.19
assist_pipeline:
config:
conversation:
diagnostics:
frontend:
history:
logbook:
system_health:
virtual_home:
  home: {home}
{scripts}{ffmpeg}automation: !include automations.yaml
logger:
  default: warning
  logs:
    custom_components.llamacpp: info
    custom_components.virtual_home: info
    # This home has no cameras.
    haffmpeg: critical
    homeassistant.components.camera.img_util: critical
"""

# All steps but the user's account; they would look up the home's location on the internet.
ONBOARDED = ["core_config", "analytics", "integration"]


class HomeAssistant(ChildProcess):
    """Home Assistant on a loopback port, with the integration and a virtual home."""

    def __init__(
        self,
        config_dir: Path,
        *,
        python: Path | None = None,
        port: int | None = None,
        home: Path = DEMO_HOME,
        ffmpeg: Path | None = None,
    ) -> None:
        """Describe it; this writes and starts nothing.

        config_dir: its configuration folder, created if missing; the log is in it, too.
        python: the interpreter of the environment with the wanted version, by default this one.
        port: by default a free one. home: YAML file with the entities of the virtual home;
        scripts are read from `NAME_scripts.yaml` next to it, in Home Assistant's format.
        ffmpeg: the program that makes MP3 of speech, by default that on PATH.
        """
        self.config_dir = config_dir.absolute()
        self.port = port or free_port()
        self.base_url = f"http://{LOOPBACK}:{self.port}"
        self._home = home
        self._ffmpeg = ffmpeg
        super().__init__(
            "Home Assistant",
            [
                python or sys.executable,
                *("-m", "homeassistant", "--skip-pip", "--config"),
                self.config_dir,
            ],
            self.config_dir / "output.log",
            # Home Assistant imports custom components by Python's search path: PYTHONPATH must not
            # hide those of the configuration folder.
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            cwd=self.config_dir,
        )

    def start(self) -> HomeAssistant:
        """Write the configuration and start. Raises ProcessError if that fails."""
        self.write_configuration()
        super().start()
        return self

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until the frontend answers. Raises ProcessError if that fails."""
        self.wait_until(lambda: answers(f"{self.base_url}/manifest.json"), seconds)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop it; it gets time to save its state."""
        super().stop(seconds)

    def write_configuration(self) -> None:
        """Write the configuration; raises OSError."""
        components = self.config_dir / "custom_components"
        components.mkdir(parents=True, exist_ok=True)
        for domain, source in INTEGRATIONS.items():
            link = components / domain
            link.unlink(missing_ok=True)
            link.symlink_to(source)
        home = self._home.resolve()
        scripts_file = home.with_name(f"{home.stem}_scripts.yaml")
        scripts = (
            f"script: !include {json.dumps(str(scripts_file))}\n" if scripts_file.exists() else ""
        )
        ffmpeg = f"ffmpeg:\n  ffmpeg_bin: {json.dumps(str(self._ffmpeg))}\n" if self._ffmpeg else ""
        (self.config_dir / "configuration.yaml").write_text(
            CONFIGURATION.format(home=json.dumps(str(home)), scripts=scripts, ffmpeg=ffmpeg)
        )
        # The file of the automation editor.
        (self.config_dir / "automations.yaml").touch()
        self._seed(
            "http", 2, 2, {"stable": self._http(), "pending": None, "yaml_migration_done": True}
        )
        if not (self.config_dir / ".storage" / "onboarding").exists():
            self._seed("onboarding", 4, 1, {"done": ONBOARDED})

    def _http(self) -> dict[str, Any]:
        """Return the web server's settings, in a format that 2026.10 reads and 2026.11 migrates."""
        return {
            "server_host": [LOOPBACK],
            "server_port": self.port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": True,
            "ssl_profile": "modern",
            "use_x_frame_options": True,
            "created_at": "2026-01-01T00:00:00+00:00",
            "error": None,
            "error_message": None,
        }

    def _seed(self, key: str, version: int, minor_version: int, data: dict[str, Any]) -> None:
        """Write a file of Home Assistant's storage."""
        folder = self.config_dir / ".storage"
        folder.mkdir(exist_ok=True)
        document = {"version": version, "minor_version": minor_version, "key": key, "data": data}
        (folder / key).write_text(json.dumps(document))
