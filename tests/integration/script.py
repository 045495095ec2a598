"""What the scripted model of the tests says."""

from typing import TYPE_CHECKING

from dev.scripted_model import ScriptedCall

if TYPE_CHECKING:
    from dev.scripted_model import Script

OTHERWISE = "I was not told what to say to this."
MORE_ROUNDS_THAN_ALLOWED = 12

TURN_ON_KITCHEN = "Turn on the kitchen light"
TWO_CALLS = "Turn on both lamps"
MISSING = "Turn on the moon"
THINK = "What is on your mind?"
THINK_TWICE = "Say something before and after a thought"
THINK_ALOUD = "Think, and forget to say so"
THINK_WITHOUT_END = "Think for ever"
NOTHING = "Say nothing"
ONLY_THINK = "Think, but do not speak"
SILENT_CALL = "Turn on the coffee maker"
ENDLESS = "Try everything"
QUESTION = "I am cold"
LONG_CALL = "Turn on a lamp with a long name"
BROKEN_TOOL = "Use the broken tool"
CALLED_OTHERWISE = "Turn on the kitchen light, as others do"
PRINTED_CALL = "Turn on the kitchen light, in other words"
PRINTED_CODE = "Dim the lamp, in Python"
CORRECTED = "Turn on the lamp beside my bed"
OUT_OF_RANGE = "Make the lamp more than bright"
STORY = "Tell me how the day was"

SCRIPT: Script = {
    TURN_ON_KITCHEN: [
        str(ScriptedCall("intent__HassTurnOn", {"name": "Kitchen Light"})),
        "The kitchen light is on now.",
    ],
    TWO_CALLS: [
        "With pleasure.\n"
        + str(ScriptedCall("intent__HassTurnOn", {"name": "Floor Lamp"}))
        + "\n"
        + str(ScriptedCall("intent__HassTurnOn", {"name": "Bedside Lamp"})),
        "Both lamps are on.",
    ],
    MISSING: [
        str(ScriptedCall("intent__HassTurnOn", {"name": "Moon"})),
        "There is no moon to turn on.",
    ],
    THINK: ["<think>\nThe user wants to know my thoughts.\n</think>\n\nMostly cheese."],
    THINK_TWICE: ["Middle words.\n<think>\nA second thought.\n</think>\nFinal words."],
    THINK_ALOUD: ["Some thoughts without a beginning.\n</think>\n\nThe proper answer."],
    THINK_WITHOUT_END: ["<think>\nMy thoughts have no end"],
    NOTHING: [""],
    ONLY_THINK: ["<think>\nI shall keep this to myself.\n</think>\n\n"],
    SILENT_CALL: [str(ScriptedCall("intent__HassTurnOn", {"name": "Coffee Maker"})), ""],
    ENDLESS: [
        str(ScriptedCall("light__HassLightSet", {"name": "Floor Lamp", "brightness": 20 + number}))
        for number in range(MORE_ROUNDS_THAN_ALLOWED)
    ],
    BROKEN_TOOL: [str(ScriptedCall("break_down", {})), "The tool is broken."],
    LONG_CALL: [
        str(
            ScriptedCall(
                "intent__HassTurnOn", {"name": "Lamp whose description never seems to end"}
            )
        ),
        "Too long a name.",
    ],
    CALLED_OTHERWISE: [
        str(ScriptedCall("light.turn_on", {"entity_id": "light.kitchen_light"})),
        "Called by another name.",
    ],
    PRINTED_CALL: [
        'Of course.\n{"name": "HassTurnOn", "parameters": {"name": "kitchen lights"}}',
        "There is light in the kitchen.",
    ],
    PRINTED_CODE: [
        "```tool_code\nprint(HassLightSet(name='Floor Lamp', brightness='31%'))\n```",
        "The lamp is dimmed.",
    ],
    CORRECTED: [
        str(ScriptedCall("intent__HassTurnOn", {"name": "Bedside Light"})),
        str(ScriptedCall("intent__HassTurnOn", {"name": "Bedside Lamp", "area": "bed room"})),
        str(ScriptedCall("intent__HassTurnOn", {"name": "bedside lamps", "domain": ["light"]})),
        "The lamp beside your bed is on.",
    ],
    OUT_OF_RANGE: [
        str(ScriptedCall("light__HassLightSet", {"name": "Floor Lamp", "brightness": 150})),
        str(ScriptedCall("light__HassLightSet", {"name": "Floor Lamp", "brightness": 95})),
        "It is as bright as can be.",
    ],
    STORY: [
        (
            "In the morning the sun came in by the kitchen window. At noon somebody opened the "
            "garden door and forgot to close it. Nobody was at home until the evening, and then "
            "all lights went on at once."
        )
    ],
    QUESTION: ["Shall I turn up the heating?"],
}
