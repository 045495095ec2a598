"""Print the requirements of the Home Assistant components that we run.

Components have their requirements in their manifests, where pip does not see them, and Home
Assistant would install them at run time. Run this in an environment with the Home Assistant version
in question; `scripts/lock` writes the lines to requirement files.
"""

import json
from pathlib import Path

import homeassistant
from homeassistant import bootstrap

# The components of the demo's configuration, those that the virtual home and the integration need,
# core's `llama_cpp` for the benchmarks, and `wyoming`, with which the demo hears and speaks. Their
# dependencies come from the manifests.
COMPONENTS = {
    "ai_task",
    "assist_pipeline",
    "assist_satellite",
    "binary_sensor",
    "climate",
    "config",
    "conversation",
    "cover",
    "diagnostics",
    "fan",
    "frontend",
    "hassio",
    "history",
    "light",
    "llama_cpp",
    "lock",
    "logbook",
    "media_player",
    "my",
    "scene",
    "script",
    "sensor",
    "switch",
    "system_health",
    "todo",
    "vacuum",
    "valve",
    "wyoming",
}


def requirements_of(components: set[str]) -> set[str]:
    """Return the requirement lines of these components and all that they depend on."""
    folder = Path(homeassistant.__file__).parent / "components"
    seen: set[str] = set()
    requirements: set[str] = set()
    queue = set(components)
    while queue:
        domain = queue.pop()
        if domain in seen:
            continue
        seen.add(domain)
        manifest = json.loads((folder / domain / "manifest.json").read_text())
        requirements |= set(manifest.get("requirements", []))
        queue |= set(manifest.get("dependencies", []))
    return requirements


if __name__ == "__main__":
    everything = COMPONENTS | set(bootstrap.CORE_INTEGRATIONS) | set(bootstrap.DEFAULT_INTEGRATIONS)
    print("\n".join(sorted(requirements_of(everything))))
