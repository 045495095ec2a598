"""Scripts of the home, which become tools with fields of many kinds."""

from typing import Any

ROWS = 6000
SCRIPTS: dict[str, Any] = {
    "announce": {
        "description": "Announces a message",
        "fields": {
            "message": {"required": True, "selector": {"text": {}}},
            "volume": {"selector": {"number": {"min": 0, "max": 100}}},
            "speaker": {"selector": {"device": {}}},
        },
        "sequence": [],
    },
    "house_mode": {
        "description": "Sets the mode",
        "fields": {
            "mode": {
                "required": True,
                "selector": {
                    "select": {
                        "options": [
                            {"value": "home", "label": "At home"},
                            {"value": "away", "label": "Nobody there"},
                        ]
                    }
                },
            },
            "rooms": {
                "selector": {
                    "select": {
                        "multiple": True,
                        "options": [{"value": "r1", "label": "Kitchen"}],
                    }
                }
            },
            "at": {"selector": {"time": {}}},
            "when": {"selector": {"datetime": {}}},
        },
        "sequence": [],
    },
    "flash": {
        "description": "Flashes something",
        "fields": {"what": {"required": True, "selector": {"target": {}}}},
        "sequence": [],
    },
    "report": {
        "description": "Tells the energy use",
        "sequence": [
            {"variables": {"result": {"rows": f"{{{{ range({ROWS}) | list }}}}"}}},
            {"stop": "done", "response_variable": "result"},
        ],
    },
}
