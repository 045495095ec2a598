"""Store every conversation with its turns in Home Assistant's storage."""

from .chat_log import contents_of, messages_of
from .fields import FormatError
from .files import remove_file
from .model import (
    Attachment,
    Conversation,
    Message,
    Role,
    Source,
    StoredTurn,
    StoredUsage,
    Summary,
    ToolCall,
)
from .retention import Retention
from .store import ACTIVE_SECONDS, History, HistoryError

__all__ = [
    "ACTIVE_SECONDS",
    "Attachment",
    "Conversation",
    "FormatError",
    "History",
    "HistoryError",
    "Message",
    "Retention",
    "Role",
    "Source",
    "StoredTurn",
    "StoredUsage",
    "Summary",
    "ToolCall",
    "contents_of",
    "messages_of",
    "remove_file",
]
