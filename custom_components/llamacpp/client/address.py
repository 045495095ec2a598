"""Parse the address and API key of a server as people type them."""

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

# llama-server's own: up to 0.6, and since.
DEFAULT_PORT = 8080
NEWER_PORT = 9931
API_SEGMENT = "v1"

_SCHEME_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"\w([\w-]*\w)?(\.\w([\w-]*\w)?)*\.?")
_PORT = re.compile(r":[0-9]{1,5}")
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_HIGHEST_PORT = 65535


def parse_address(text: str) -> str:
    """Return the canonical base URL of a typed address, such as `http://host:8080`.

    text: `host`, `host:port`, `[IPv6]:port`, or a full http or https URL, perhaps with a path
    (keeps the prefix of a reverse proxy, drops `/v1` at its end). The default scheme is http, the
    default port 8080 if there is no scheme.

    The result has a lower-case host, no trailing slash, and no port that its scheme implies.
    Raises ValueError for anything else; the message does not repeat the text.
    """
    text = text.strip()
    if not text:
        raise ValueError("The address is empty")
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError("The address contains spaces")
    if "?" in text or "#" in text:
        raise ValueError("The address must not have a query or a fragment")
    has_scheme = "://" in text
    try:
        parts = urlsplit(text if has_scheme else f"http://{text}")
    except ValueError:
        # The original message could repeat a password.
        raise ValueError("The address is not valid") from None
    if parts.scheme not in _SCHEME_PORTS:
        raise ValueError("The address must start with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("The address must not contain a user name or a password")
    host, port = _host_and_port(parts)
    if port is None:
        port = _SCHEME_PORTS[parts.scheme] if has_scheme else DEFAULT_PORT
    suffix = "" if port == _SCHEME_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{suffix}{_prefix(parts.path)}"


def at_newer_port(text: str) -> str | None:
    """Return the base URL at the port of newer servers; None if the typed address has a port.

    Raises ValueError as `parse_address` does.
    """
    base_url = parse_address(text)
    text = text.strip()
    if "://" in text or _host_and_port(urlsplit(f"http://{text}"))[1] is not None:
        return None
    parts = urlsplit(base_url)
    host, _ = _host_and_port(parts)
    return f"{parts.scheme}://{host}:{NEWER_PORT}{parts.path}"


def redirected(base_url: str, asked: str, location: str) -> tuple[str, str | None]:
    """Return the target of a redirect, and the base URL that would answer the same request there.

    asked: the URL of the request. location: the header of the response. The target has no query or
    credentials, and is empty if it is no valid address. The base URL is None if the target is on
    another host, would leave https, or is another page.
    """
    path, before = asked.removeprefix(base_url), urlsplit(base_url)
    try:
        target = urlsplit(urljoin(asked, location))
        shown = parse_address(f"{target.scheme}://{target.netloc.rpartition('@')[2]}")
        found = parse_address(f"{shown}{target.path.removesuffix(path)}")
    except ValueError:
        return "", None
    is_followed = (
        target.hostname == before.hostname
        and (before.scheme, target.scheme) != ("https", "http")
        and target.path.endswith(path)
        and not target.query
        and found != base_url
    )
    return f"{shown}{target.path}", found if is_followed else None


def parse_api_key(text: str) -> str:
    """Return a typed or pasted API key without surrounding white space; it may be empty.

    Raises ValueError for a key that no HTTP header can carry, such as one with a line break; the
    message does not repeat the key.
    """
    key = text.strip()
    if not key.isprintable():
        raise ValueError("The key contains characters that cannot be seen")
    return key


def _host_and_port(parts: SplitResult) -> tuple[str, int | None]:
    name, bracket, rest = parts.netloc.rpartition("]")
    name += bracket
    if not bracket:
        name, colon, port = rest.partition(":")
        rest = colon + port
    return _host(name), _port(rest) if rest else None


def _host(name: str) -> str:
    try:
        if name.startswith("["):
            return f"[{ipaddress.IPv6Address(name[1:-1])}]"
        if _DIGITS_AND_DOTS.fullmatch(name):
            return str(ipaddress.IPv4Address(name))
    except ipaddress.AddressValueError:
        raise ValueError("The address has no valid IP address") from None
    if not _HOST_NAME.fullmatch(name):
        raise ValueError("The address has no valid host name")
    return name.lower()


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text[1:]) <= _HIGHEST_PORT:
        raise ValueError("The address has no valid port")
    return int(text[1:])


def _prefix(path: str) -> str:
    segments = [segment for segment in path.split("/") if segment]
    if ".." in segments or "." in segments:
        raise ValueError("The address has dots as a part of its path")
    if segments and segments[-1] == API_SEGMENT:
        segments.pop()
    return "".join(f"/{segment}" for segment in segments)
