"""Stores turns without a pause, in processes that are killed one after the other."""

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
    """Write a complete line, or nothing."""
    os.write(1, f"{line}\n".encode())


async def write(path: Path) -> None:
    """Store turns; print the number of messages of each conversation after each."""
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
    """Start a process for each line of input; print its id, and when it has ended."""
    for _ in sys.stdin:
        # Forked processes have the imports already: hundreds of starts take only seconds.
        child = os.fork()
        if child == 0:
            asyncio.run(write(Path(sys.argv[1])))
            os._exit(1)
        tell(f"began {child}")
        os.waitpid(child, 0)
        tell("gone 0")


main()
