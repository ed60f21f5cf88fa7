"""HTTP to permitted addresses only.

Hosts of the configuration are the administrator's choice and may be anywhere. Every other host must have public
addresses only; the connection goes to an address that was checked, so that a name which resolves differently a moment
later (DNS rebinding) gains nothing. Each redirect is checked like the first request. This site itself is never called:
a batch would wait for itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

import httpx2
from django.conf import settings

from .self_address import is_own_address, is_own_host_name

PORTS = {80, 443, 8080, 8443}
MAX_RESPONSE = 32 * 1024 * 1024  # bytes
MAX_REDIRECTS = 3
CONNECT_TIMEOUT = 10.0  # seconds
FETCH_TIMEOUT = 60.0  # seconds for a whole file
MAX_ADDRESSES = 4  # of one name that are tried

# Platform and metadata addresses of Azure and Oracle, although their ranges are public.
_INTERNAL = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Origin = tuple[str, str, int]


class AddressRefused(httpx2.TransportError):
    """The request was not sent, because its address is not permitted."""


class ResponseTooLarge(httpx2.TransportError):
    """The response exceeds the limit."""


def origin_of(url: httpx2.URL | str) -> Origin:
    """Return scheme, host and port."""
    url = httpx2.URL(url)
    return url.scheme, url.host.lower(), url.port or (443 if url.scheme == "https" else 80)


def is_public(address: str) -> bool:
    """Return whether an IP address is public, also if it is an IPv4 address embedded in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.teredo or ip.is_site_local:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if int(ip) >> 32 == 0:  # ::a.b.c.d, the deprecated form of an embedded IPv4 address
            return False
    return (
        ip.is_global and not ip.is_multicast and not ip.is_reserved and not any(ip in network for network in _INTERNAL)
    )


async def resolve(host: str, port: int) -> list[str]:
    """Return all IP addresses of a name. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Transport that checks the address of every request and limits the size of every response."""

    def __init__(
        self,
        configured: Iterable[str] = (),
        *,
        max_size: int = MAX_RESPONSE,
        verify: bool = True,
        inner: httpx2.AsyncBaseTransport | None = None,
    ):
        self._configured = {origin_of(url) for url in configured}
        self._max_size = max_size
        # A kept connection belongs to an address, not to a name: never reuse one between foreign hosts.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100 if self._configured else 0)
        self._inner = inner or httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        scheme, host, port = origin = origin_of(request.url)
        if scheme not in ("http", "https"):
            raise AddressRefused(f"Only http and https are supported, not {scheme!r}.")
        request.headers["Accept-Encoding"] = "identity"  # no decompression bombs
        if origin in self._configured:
            await self._refuse_self(host, port)
            response = await self._inner.handle_async_request(request)
        else:
            response = await self._to_foreign_host(request, host, port)
        return self._limited(response)

    async def _refuse_self(self, host: str, port: int) -> None:
        if is_own_host_name(host, port) or (
            port == settings.BATCH_PORT and is_own_address(await _resolved(host, port), port)
        ):
            raise AddressRefused(
                f"{host} port {port} is this site itself (BATCH_PORT, BATCH_HOSTS), which must not call itself."
            )

    async def _to_foreign_host(self, request: httpx2.Request, host: str, port: int) -> httpx2.Response:
        if request.url.userinfo:
            raise AddressRefused("An address that contains a password is not allowed.")
        if port not in PORTS:
            raise AddressRefused(f"Port {port} is not allowed; only {', '.join(map(str, sorted(PORTS)))} are.")
        addresses = await _resolved(host, port)
        await self._refuse_self(host, port)
        if not addresses or not all(is_public(address) for address in addresses):
            raise AddressRefused(f"{host} is not on the open Internet; only configured hosts may be elsewhere.")
        url = request.url
        error: Exception | None = None
        for address in addresses[:MAX_ADDRESSES]:
            # The connection goes to this very address; the name stays in the Host header and in TLS.
            request.url = url.copy_with(host=address)
            request.extensions = {**request.extensions, "sni_hostname": host}
            try:
                return await self._inner.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as problem:
                error = problem
            finally:
                request.url = url
        raise error or httpx2.ConnectError(f"{host} cannot be reached.")

    def _limited(self, response: httpx2.Response) -> httpx2.Response:
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise ResponseTooLarge("The response is compressed, which was not requested.")
        response.stream = _LimitedStream(cast(httpx2.AsyncByteStream, response.stream), self._max_size)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _LimitedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, max_size: int):
        self._inner, self._left, self._max_size = inner, max_size, max_size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            self._left -= len(part)
            if self._left < 0:
                raise ResponseTooLarge(f"The response has more than {self._max_size:,} bytes.")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _resolved(host: str, port: int) -> list[str]:
    try:
        return await resolve(host, port)
    except (OSError, UnicodeError):
        raise httpx2.ConnectError(f"The name {host} has no address.") from None


def client(*configured: str, verify: bool = True, max_size: int = MAX_RESPONSE, **options: Any) -> httpx2.AsyncClient:
    """Return a client that reaches the configured addresses anywhere, and others only on the open Internet."""
    return httpx2.AsyncClient(
        transport=GuardedTransport(configured, verify=verify, max_size=max_size),
        timeout=options.pop("timeout", httpx2.Timeout(CONNECT_TIMEOUT, read=None)),
        trust_env=False,
        follow_redirects=False,
        **options,
    )


async def fetch(url: str, *, max_size: int = MAX_RESPONSE, transport: httpx2.AsyncBaseTransport | None = None) -> bytes:
    """Return the file at an address that a caller gave.

    Raises httpx2's errors (AddressRefused among them), TimeoutError, and ValueError for an invalid address.
    """
    try:
        target = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise ValueError(f"invalid address: {error}") from None
    guard = GuardedTransport(max_size=max_size, inner=transport)
    async with (
        asyncio.timeout(FETCH_TIMEOUT),
        httpx2.AsyncClient(
            transport=guard, timeout=CONNECT_TIMEOUT, trust_env=False, max_redirects=MAX_REDIRECTS
        ) as http,
    ):
        for _ in range(MAX_REDIRECTS + 1):
            async with http.stream("GET", target, follow_redirects=False) as response:
                if response.next_request is None:
                    response.raise_for_status()
                    return await response.aread()
                target = response.next_request.url
    raise httpx2.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects")
