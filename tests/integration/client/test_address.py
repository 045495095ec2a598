"""Addresses as users type them, and their canonical form."""

import pytest

from custom_components.llamacpp.client import at_newer_port, parse_address, parse_api_key
from custom_components.llamacpp.client.address import redirected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", "http://host:8080"),
        ("  HOST \n", "http://host:8080"),
        ("host:1234", "http://host:1234"),
        ("host:80", "http://host"),
        ("host:443", "http://host:443"),
        ("host/v1", "http://host:8080"),
        ("localhost:8080/", "http://localhost:8080"),
        ("my_server.lan.", "http://my_server.lan.:8080"),
        ("bücher.example", "http://bücher.example:8080"),
        ("192.168.1.5", "http://192.168.1.5:8080"),
        ("192.168.1.5:9931", "http://192.168.1.5:9931"),
        ("[::1]", "http://[::1]:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[FD00:0:0::1]:99", "http://[fd00::1]:99"),
        ("http://host", "http://host"),
        ("HTTP://Host:80/", "http://host"),
        ("https://host", "https://host"),
        ("https://host:443/v1", "https://host"),
        ("https://host:80", "https://host:80"),
        ("http://host:08080", "http://host:8080"),
        ("http://[::1]:8080/v1/", "http://[::1]:8080"),
        ("https://home.example/llama/v1/", "https://home.example/llama"),
        ("https://home.example//ai//Llama/", "https://home.example/ai/Llama"),
        ("http://host/v1/llama", "http://host/v1/llama"),
        ("http://host/v10", "http://host/v10"),
    ],
)
def test_accepted(text: str, expected: str) -> None:
    """An address becomes canonical, and a canonical one stays."""
    assert parse_address(text) == expected
    assert parse_address(expected) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("ho st", "spaces"),
        ("http://ho\tst/", "spaces"),
        ("host\x00", "spaces"),
        ("ftp://host", "http:// or https://"),
        ("://host", "http:// or https://"),
        ("http://user:secret@host", "user name or a password"),
        ("user@host", "user name or a password"),
        ("host?x=1", "query or a fragment"),
        ("host/?", "query or a fragment"),
        ("host#top", "query or a fragment"),
        ("http://", "host name"),
        ("http:///v1", "host name"),
        (":8080", "host name"),
        ("-host", "host name"),
        ("a..b", "host name"),
        ("ho$t", "host name"),
        ("host:", "port"),
        ("host:0", "port"),
        ("host:65536", "port"),
        ("host:123456", "port"),
        ("host:-1", "port"),
        ("host:http", "port"),
        ("host:٣", "port"),
        ("::1", "host name"),
        ("[::1]8080", "not valid"),
        ("[::1", "not valid"),
        ("[host]", "not valid"),
        ("http://user:secret℀@host", "not valid"),
        ("[v1.x]", "no valid IP address"),
        ("8080", "no valid IP address"),
        ("192.168.1.256", "no valid IP address"),
        ("http://host/../v1", "dots"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """Anything else is rejected, with a reason that does not repeat the input."""
    with pytest.raises(ValueError, match=message) as raised:
        parse_address(text)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key", "key"),
        (" key with a space \n", "key with a space"),
        ("\u00a0ключ\r\n", "ключ"),
        (" \t", ""),
    ],
)
def test_keys(text: str, expected: str) -> None:
    """Blanks and line breaks around a copied key are removed."""
    assert parse_api_key(text) == expected


@pytest.mark.parametrize("text", ["se\ncret", "se\x00cret", "\u200bsecret", "se\ud800cret"])
def test_keys_that_cannot_be_sent(text: str) -> None:
    """The reason does not repeat the key."""
    with pytest.raises(ValueError, match="cannot be seen") as raised:
        parse_api_key(text)
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("base_url", "location", "expected"),
    [
        ("http://a", "https://a/health", ("https://a/health", "https://a")),
        (
            "http://a",
            "https://A:8443/llm/health",
            ("https://a:8443/llm/health", "https://a:8443/llm"),
        ),
        ("http://a", "/llm/health", ("http://a/llm/health", "http://a/llm")),
        ("http://a", "//a/v1/health", ("http://a/v1/health", None)),
        ("http://a:8080/x", "../llm/health", ("http://a:8080/llm/health", "http://a:8080/llm")),
        # Another host, name or number.
        ("http://a", "https://b/health", ("https://b/health", None)),
        ("http://a", "http://b:secret@a.b/health", ("http://a.b/health", None)),
        # From https to http, another page, the same again.
        ("https://a", "http://a/health", ("http://a/health", None)),
        ("http://a", "/login?next=/health", ("http://a/login", None)),
        ("http://a", "/x/health?secret=1", ("http://a/x/health", None)),
        ("http://a", "/health/", ("http://a/health/", None)),
        ("http://a", "/health", ("http://a/health", None)),
        # No address.
        ("http://a", "ftp://a/health", ("", None)),
        ("http://a", "http://[/health", ("", None)),
        ("http://a", "", ("http://a/health", None)),
    ],
)
def test_redirects(base_url: str, location: str, expected: tuple[str, str | None]) -> None:
    """Only the same host is followed, and never from https to http."""
    assert redirected(base_url, f"{base_url}/health", location) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", "http://host:9931"),
        (" Host.Local/v1/ ", "http://host.local:9931"),
        ("192.168.1.2/llama", "http://192.168.1.2:9931/llama"),
        ("[fd00::1]", "http://[fd00::1]:9931"),
        ("host:8080", None),
        ("host:9931", None),
        ("[fd00::1]:8080", None),
        ("http://host", None),
        ("https://host", None),
    ],
)
def test_the_port_of_newer_servers(text: str, expected: str | None) -> None:
    """It is tried only if the user has given no port."""
    assert at_newer_port(text) == expected
