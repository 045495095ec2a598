"""Store every conversation of a server in Home Assistant's storage.

Each has a file of its own, and the folder's listing is the index: so the cost of a turn does not
depend on the number of conversations. Home Assistant's `Store` reads the files, for its versions
and its handling of invalid JSON. It does not write them: it would log a failed write rather than
raise, postpone a write while Home Assistant stops, and restart its delay at each new turn.
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, override
from weakref import WeakValueDictionary

from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.storage import STORAGE_DIR, Store
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, LOGGER
from . import file_issues, files
from .clock import HistoryClock, running_seconds
from .fields import FormatError
from .index import Index
from .migrations import migrate
from .model import Conversation, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from homeassistant.core import CALLBACK_TYPE, HomeAssistant

    from .model import Source, StoredTurn
    from .retention import Retention

# As long as Home Assistant keeps an unused chat session.
ACTIVE_SECONDS: Final = 5 * 60
# A delayed turn is on disk within five seconds, which includes the time of the write.
DELAY_SECONDS: Final = 3
# Limits of the reads of one call, and of the turns to hold while writes fail.
MAX_READS_AT_LOAD: Final = 50
MAX_READS_OF_LIST: Final = 1000
MAX_UNSAVED: Final = 50
REMOVE_AT_ONCE: Final = 100


# Files that were written after their history was unloaded.
_OUTLIVED: HassKey[set[Path]] = HassKey("llamacpp_history_outlived")


class HistoryError(HomeAssistantError):
    """A conversation could not be read or stored; the message has its path and the reason."""


class History:
    """The conversations of one config entry.

    All methods may run concurrently: a lock per conversation serialises its operations. An
    operation that has begun completes even if the caller is cancelled.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry_id: str,
        retention: Retention,
        running: Callable[[], float] = running_seconds,
    ) -> None:
        """Initialize an entry's history without reading it. running: returns a count of seconds."""
        self._hass = hass
        self._entry_id = entry_id
        self._retention = retention
        self._key = f"{DOMAIN}.history/{entry_id}"
        self._folder = Path(hass.config.path(STORAGE_DIR, self._key))
        self._index = Index()
        self._running = running
        self._clock = HistoryClock(dt_util.utcnow().timestamp(), (), running)
        # Turns that are not on disk yet, by file name.
        self._pending: dict[str, Conversation] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._cancel_timer: CALLBACK_TYPE | None = None
        self._stop_listening: CALLBACK_TYPE | None = None
        self._may_make_folder = True
        self._outlived = hass.data.setdefault(_OUTLIVED, set())

    async def async_load(self) -> None:
        """Read the listing and the few active conversations.

        Call this once, before all else, and `async_unload` at the end. Raises HistoryError if the
        folder cannot be read.
        """
        # The listing includes these by now.
        own = {one for one in self._outlived if one.parent == self._folder}
        self._outlived.difference_update(own)
        try:
            self._index, known = await self._hass.async_add_executor_job(files.scan, self._folder)
        except OSError as err:
            raise HistoryError(f"{self._folder} cannot be read: {err}") from err
        self._clock = HistoryClock(dt_util.utcnow().timestamp(), known, self._running)
        self._stop_listening = self._hass.bus.async_listen(
            EVENT_HOMEASSISTANT_FINAL_WRITE, self._async_flush
        )
        since = self._clock.now() - ACTIVE_SECONDS
        for name in list(islice(self._index.newest(since), MAX_READS_AT_LOAD)):
            with suppress(HistoryError):
                await self._async_get(name)
        await self.async_prune()

    async def async_unload(self) -> None:
        """Write pending turns; from now on, write each turn at once."""
        if self._stop_listening:
            self._stop_listening()
            self._stop_listening = None
        await self._async_flush()
        await self._hass.async_add_executor_job(files.set_clock, self._folder, self._clock.now())
        # A turn that ends after the entry was removed must not create its folder again.
        self._may_make_folder = False

    async def async_remove(self) -> None:
        """Remove all conversations of the entry and all files that were set aside."""
        self._pending.clear()
        await self.async_unload()
        for lock in list(self._locks.values()):
            async with lock:
                pass
        self._index = Index()
        await self._hass.async_add_executor_job(files.remove_folder, self._folder)
        file_issues.async_delete_all(self._hass, self._entry_id)

    async def async_create(self, conversation: Conversation) -> None:
        """Store a new conversation; it is on disk when this returns.

        Raises HistoryError if it cannot be written, or if its id exists already.
        """
        await self._async_to_the_end(self._async_create(conversation))

    async def async_get(self, conversation_id: str) -> Conversation | None:
        """Return a conversation with all its turns, open or closed, None if there is none.

        Raises HistoryError if its file cannot be read, for example because a newer version of the
        integration has written it.
        """
        name = files.file_name(conversation_id)
        if self._stop_listening and not self._may_be_there(name):
            return None
        return await self._async_get(name)

    def _may_be_there(self, name: str) -> bool:
        """Return whether a loaded history may have a file: it knows all files by name.

        Except one that is just being written, and those of turns that outlived a reload.
        """
        is_known = self._index.size(name) is not None
        return is_known or name in self._locks or self._folder / name in self._outlived

    async def async_summary(self, conversation_id: str) -> Summary | None:
        """Return the summary of a conversation, None if there is none.

        Reads the file only the first time. Raises HistoryError if it cannot be read.
        """
        name = files.file_name(conversation_id)
        if self._index.size(name) is not None and self._index.summary(name) is None:
            await self._async_get(name)
        return self._index.summary(name)

    async def async_append(  # noqa: PLR0913 - each is an independent choice of the caller
        self,
        conversation_id: str,
        turn: StoredTurn,
        *,
        durable: bool,
        source: Source,
        agent_id: str | None,
        closes: bool = False,
    ) -> None:
        """Add a turn to a conversation, which is created if there is none.

        durable: the turn is on disk when this returns, otherwise within five seconds and when Home
        Assistant stops. source: of a new conversation. agent_id: of the turn. closes: the turn ends
        the conversation. A closed conversation gets the turn too, and stays closed. Raises
        HistoryError if the conversation cannot be read, or if a turn to be written at once cannot.
        """
        await self._async_to_the_end(
            self._async_append(
                conversation_id, turn, source, agent_id, durable=durable, closes=closes
            )
        )

    async def async_close(self, conversation_id: str) -> bool:
        """Close a conversation; this is on disk when it returns.

        Returns False if it does not exist or is already closed. Raises HistoryError if it cannot be
        read or written.
        """
        return await self._async_to_the_end(self._async_close(conversation_id))

    async def async_list(
        self,
        *,
        limit: int = 100,
        include_closed: bool = True,
        agent_id: str | None = None,
        user_id: str | None = None,
    ) -> list[Summary]:
        """Return the conversations, newest first, at most `limit` of them.

        agent_id: of the last turn, None: any. user_id: of the owner, None: any. One call reads at
        most 1000 files and omits the rest. It also omits unreadable files.
        """
        summaries: list[Summary] = []
        n_reads = 0
        for name in list(self._index.newest()):
            if len(summaries) >= limit:
                break
            if self._index.summary(name) is None:
                if n_reads >= MAX_READS_OF_LIST:
                    break
                n_reads += 1
                with suppress(HistoryError):
                    await self._async_get(name)
            summary = self._index.summary(name)
            if (
                summary
                and (include_closed or not summary.closed)
                and agent_id in (None, summary.agent_id)
                and user_id in (None, summary.user_id)
            ):
                summaries.append(summary)
        return summaries

    @callback
    def summary(self, conversation_id: str) -> Summary | None:
        """Return the summary of a conversation without reading it, None if it is unknown."""
        return self._index.summary(files.file_name(conversation_id))

    @callback
    def active_count(self, agent_id: str | None = None) -> int:
        """Return the number of active conversations: open, with a recent turn.

        agent_id: of the last turn, None: any.
        """
        # A machine's clock that is set back does not make a conversation active again.
        recent = self._index.newest(self._clock.now() - ACTIVE_SECONDS)
        since = dt_util.utcnow() - timedelta(seconds=ACTIVE_SECONDS)
        return sum(
            one is not None
            and one.closed is None
            and one.updated >= since
            and agent_id in (None, one.agent_id)
            for one in map(self._index.summary, recent)
        )

    async def async_prune(self) -> None:
        """Remove conversations that exceed the retention; call this every hour."""
        await self._async_to_the_end(self._async_evict())
        await self._hass.async_add_executor_job(files.set_clock, self._folder, self._clock.now())
        for name in await self._hass.async_add_executor_job(
            files.remove_set_aside, self._folder, self._oldest()
        ):
            file_issues.async_delete(self._hass, self._entry_id, name)

    async def _async_to_the_end[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Complete the work even if the caller is cancelled.

        A thread cannot be cancelled: releasing the lock before it ends would let an older state of
        a conversation overwrite a newer one.
        """
        return await asyncio.shield(self._hass.async_create_task(work, f"{DOMAIN} history"))

    def _lock(self, name: str) -> asyncio.Lock:
        """Return the lock of a file; it exists while it is held or awaited."""
        return self._locks.setdefault(name, asyncio.Lock())

    async def _async_create(self, conversation: Conversation) -> None:
        name = files.file_name(conversation.id)
        async with self._lock(name):
            if await self._async_read(name):
                raise HistoryError(f"There is a conversation {conversation.id} already")
            await self._async_write(name, conversation, self._stamp())
        await self._async_evict()

    async def _async_append(  # noqa: PLR0913 - as above
        self,
        conversation_id: str,
        turn: StoredTurn,
        source: Source,
        agent_id: str | None,
        *,
        durable: bool,
        closes: bool,
    ) -> None:
        name = files.file_name(conversation_id)
        now = dt_util.utcnow()
        async with self._lock(name):
            conversation = await self._async_read(name) or Conversation(
                id=conversation_id, source=source, created=turn.created, updated=now
            )
            conversation = conversation.with_turn(turn, agent_id, now)
            if closes:
                conversation = replace(conversation, closed=conversation.closed or now)
            stamp = self._stamp()
            # Nothing would write it later.
            at_once = self._stop_listening is None or self._hass.is_stopping
            if durable or at_once:
                await self._async_write(name, conversation, stamp)
            else:
                self._async_write_soon(name, conversation, stamp)
        await self._async_evict()

    async def _async_close(self, conversation_id: str) -> bool:
        name = files.file_name(conversation_id)
        async with self._lock(name):
            conversation = await self._async_read(name)
            if conversation is None or conversation.closed:
                return False
            closed = replace(conversation, closed=dt_util.utcnow())
            await self._async_write(name, closed, self._index.stamp(name) or self._stamp())
        return True

    async def _async_get(self, name: str) -> Conversation | None:
        return await self._async_to_the_end(self._async_locked_read(name))

    async def _async_locked_read(self, name: str) -> Conversation | None:
        async with self._lock(name):
            return await self._async_read(name)

    async def _async_read(self, name: str) -> Conversation | None:
        """Return the conversation in a file, and index it; the lock must be held.

        Sets an invalid file aside. Raises HistoryError if the file cannot be read.
        """
        if pending := self._pending.get(name):
            return pending
        path = self._folder / name
        store = _ConversationStore(self._hass, f"{self._key}/{name}")
        try:
            if (data := await store.async_load()) is None:
                await self._async_missing(path)
                return None
            conversation, stat = await self._hass.async_add_executor_job(files.parse, path, data)
        except (AttributeError, KeyError, TypeError, ValueError) as err:
            # Wrong structure: for Store, for a migration, or for us.
            await self._async_set_aside(path, repr(err))
            return None
        except (HomeAssistantError, OSError) as err:
            raise HistoryError(f"{path} cannot be read: {err}") from err
        self._index.put(name, Summary.of(conversation, stat.st_size, stat.st_mtime))
        return conversation

    async def _async_missing(self, path: Path) -> None:
        """Forget a file for which Store has no data: it is gone, set aside by Store, or empty."""
        if self._index.size(path.name) is None:
            return
        self._index.drop(path.name)
        if await self._hass.async_add_executor_job(path.exists):
            await self._async_set_aside(path, "the file is empty")

    async def _async_set_aside(self, path: Path, reason: str) -> None:
        self._index.drop(path.name)
        try:
            new_path = await self._hass.async_add_executor_job(files.set_aside, path)
        except OSError as err:
            raise HistoryError(f"{path} cannot be set aside: {err}") from err
        LOGGER.error("%s is no conversation (%s), it is %s now", path, reason, new_path)
        file_issues.async_create(self._hass, self._entry_id, path, new_path, reason)

    async def _async_write(self, name: str, conversation: Conversation, stamp: float) -> None:
        """Write a conversation to disk and index it; the lock must be held.

        stamp: time of its last turn. Raises HistoryError if the write fails; a pending turn then
        stays pending.
        """
        path = self._folder / name
        try:
            conversation, size = await self._hass.async_add_executor_job(
                lambda: files.write(
                    path,
                    f"{self._key}/{name}",
                    conversation,
                    stamp,
                    make_folder=self._may_make_folder,
                )
            )
        except (HomeAssistantError, OSError, TypeError, FormatError) as err:
            raise HistoryError(f"{path} cannot be written: {err}") from err
        self._pending.pop(name, None)
        self._index.put(name, Summary.of(conversation, size, stamp))
        if self._stop_listening is None:
            self._outlived.add(path)

    @callback
    def _async_write_soon(self, name: str, conversation: Conversation, stamp: float) -> None:
        self._pending[name] = conversation
        self._index.put(name, Summary.of(conversation, self._index.size(name) or 0, stamp))
        if self._cancel_timer is None:
            self._cancel_timer = async_call_later(self._hass, DELAY_SECONDS, self._async_flush)

    async def _async_flush(self, _event: object = None) -> None:
        """Write all pending turns; retry failed ones with the next turn."""
        if self._cancel_timer:
            self._cancel_timer()
            self._cancel_timer = None
        failed = []
        for name in list(self._pending):
            async with self._lock(name):
                if conversation := self._pending.get(name):
                    try:
                        stamp = self._index.stamp(name) or self._stamp()
                        await self._async_write(name, conversation, stamp)
                    except HistoryError as err:
                        LOGGER.error("A turn is not stored: %s", err)
                        failed.append(name)
        for name in failed[:-MAX_UNSAVED]:
            self._pending.pop(name, None)
            if not self._index.size(name):
                self._index.drop(name)
        await self._async_evict()

    async def _async_evict(self) -> None:
        """Remove what exceeds the retention, except what is being written."""
        await self._async_learn()
        while names := self._removable():
            async with AsyncExitStack() as stack:
                for name in names:
                    await stack.enter_async_context(self._lock(name))
                for name in names:
                    self._pending.pop(name, None)
                    self._index.drop(name)
                await self._hass.async_add_executor_job(
                    files.remove, [self._folder / name for name in names]
                )

    async def _async_learn(self) -> None:
        """Read owners and one-shots of unread conversations before some must go."""
        if not self._index.exceeds(self._retention):
            return
        if unread := list(islice(self._index.unread(), MAX_READS_OF_LIST)):
            groups = await self._hass.async_add_executor_job(
                files.read_groups, self._folder, unread
            )
            self._index.learn(groups)

    def _removable(self) -> list[str]:
        """Return the names of the files to remove next: first the old ones, then the excess."""

        def free(names: Iterator[str]) -> list[str]:
            return list(islice((name for name in names if name not in self._locks), REMOVE_AT_ONCE))

        return free(self._index.older_than(self._oldest())) or free(
            self._index.excess(self._retention)
        )

    def _oldest(self) -> float:
        """Return the time before which nothing is kept."""
        return self._clock.now() - self._retention.max_age.total_seconds()

    def _stamp(self) -> float:
        """Return the time of a new last turn."""
        return self._clock.after(self._index.newest_stamp)


class _ConversationStore(Store[dict[str, Any]]):
    """Reads one conversation; the next turn writes a migrated one."""

    def __init__(self, hass: HomeAssistant, key: str) -> None:
        super().__init__(
            hass,
            files.VERSION,
            key,
            private=True,
            atomic_writes=True,
            minor_version=files.MINOR_VERSION,
            read_only=True,
        )

    @override
    async def _async_migrate_func(
        self, old_major_version: int, old_minor_version: int, old_data: dict[str, Any]
    ) -> dict[str, Any]:
        return migrate(old_major_version, old_minor_version, old_data)
