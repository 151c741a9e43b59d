"""Where a request comes from, and by which URL this server was asked; known front servers are believed."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from entrepot.settings import Settings
from entrepot.web.reply import Scope

_LONGEST = 1000


def address_of(scope: Scope, settings: Settings) -> str:
    """The client's IP address: that of the connection, or what a trusted front server says; empty: unknown."""
    address = (scope.get("client") or ("", 0))[0]
    proxies = _networks(settings.server.trusted_proxies)
    if not proxies or not _is_within(address, proxies):
        return address
    # The last address that is no front server of ours: what stands before it anybody may have written.
    for told in reversed(_header(scope, b"x-forwarded-for").split(",")):
        name = told.strip()
        if _parsed(name) is None:
            return address
        address = name
        if not _is_within(name, proxies):
            return name
    return address


def base_of(scope: Scope, settings: Settings) -> str:
    """The server's own address as clients are to use it: `[server] address`, else the one by which the client came;
    without a slash at its end."""
    if settings.server.address:
        return settings.server.address
    scheme, host = scope.get("scheme", "http"), _header(scope, b"host")
    proxies = _networks(settings.server.trusted_proxies)
    if proxies and _is_within((scope.get("client") or ("", 0))[0], proxies):
        told = _header(scope, b"x-forwarded-proto").strip().lower()
        scheme = told if told in ("http", "https") else scheme
        host = _header(scope, b"x-forwarded-host").split(",")[0].strip() or host
    return f"{scheme}://{host}".rstrip("/")


def is_own(url: str, scope: Scope, settings: Settings) -> bool:
    """Whether a URL or an Origin is of this server."""
    return _origin(url) is not None and _origin(url) == _origin(base_of(scope, settings))


def is_secure(scope: Scope, settings: Settings) -> bool:
    """Whether the client uses https."""
    return base_of(scope, settings).startswith("https://")


def _origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.scheme in ("http", "https") and parts.hostname else None


def _header(scope: Scope, name: bytes) -> str:
    """The last header of that name: what the nearest front server wrote."""
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return found[-1].decode("latin-1")[-_LONGEST:] if found else ""


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(each, strict=False) for each in trusted)


def _is_within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
