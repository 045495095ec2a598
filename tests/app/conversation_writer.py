"""Stores turns without a pause, in one process after the other, each of which gets killed."""

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "addon"))

from llamacpp_app.conversations import ConversationStore, Message

TURNS_OF_A_CONVERSATION = 10
MOST_TURNS = 100_000


def tell(line: str) -> None:
    """Write a line as a whole, or not at all."""
    os.write(1, f"{line}\n".encode())


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
        tell(f"{started.id} {count}")


def main() -> None:
    """Begin a process for each line that is read; tell its id, and when it is gone."""
    for _ in sys.stdin:
        # What is imported already is not imported again: hundreds of processes take seconds.
        child = os.fork()
        if child == 0:
            asyncio.run(write(Path(sys.argv[1])))
            os._exit(1)
        tell(f"began {child}")
        os.waitpid(child, 0)
        tell("gone 0")


main()
