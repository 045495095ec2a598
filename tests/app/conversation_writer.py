"""Stores turns without a pause and tells each one that is stored, until it is killed."""

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "addon"))

from llamacpp_app.conversations import ConversationStore, Message

TURNS_OF_A_CONVERSATION = 10
MOST_TURNS = 100_000


async def write(path: Path) -> None:
    """Store turns, the number of messages of each conversation after each on a line."""
    store = ConversationStore(path)
    await store.open()
    for number in range(MOST_TURNS):
        if number % TURNS_OF_A_CONVERSATION == 0:
            started = await store.start()
        said = Message("user", f"Question {number}?" * 20, time.time())
        answer = Message("assistant", f"Answer {number}." * 200, time.time())
        count = await store.add_turn(started.id, said, answer)
        sys.stdout.write(f"{started.id} {count}\n")
        sys.stdout.flush()


asyncio.run(write(Path(sys.argv[1])))
