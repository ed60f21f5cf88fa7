"""HTTP that never goes where it must not.

Hosts of the configuration are the administrator's choice and may be anywhere. Every other host must have public
addresses alone; the connection goes to an address that was looked at, so that a name which changes its mind between
the look and the connection gains nothing. Each hop of a redirect is a request of its own and is looked at like the
first. Nobody is allowed to call this site itself, which would be a batch that waits for itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable

import httpx2
from django.conf import settings

from .self_address import has_our_name, is_ours

PORTS = {80, 443, 8080, 8443}
MOST = 32 * 1024 * 1024  # bytes of one answer
REDIRECTS = 3
CONNECT = 10.0  # seconds
FETCH = 60.0  # seconds for a whole file

# Public by their number, and yet a cloud's own: platform and metadata addresses of Azure and Oracle.
_NEVER = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Origin = tuple[str, str, int]


class Refused(httpx2.TransportError):
    """The request was not sent, because of where it would have gone."""


class TooMuch(httpx2.TransportError):
    """The answer is larger than anybody wants to keep."""


def origin_of(url: httpx2.URL | str) -> Origin:
    url = httpx2.URL(url)
    return url.scheme, url.host.lower(), url.port or (443 if url.scheme == "https" else 80)


def is_public(address: str) -> bool:
    """Whether an address is one of the open Internet, also where it is wrapped into another one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.teredo or ip.is_site_local:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if int(ip) >> 32 == 0:  # ::a.b.c.d, an old way to write an IPv4 address
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not any(ip in network for network in _NEVER)


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name.

    Raises OSError.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(entry[4][0] for entry in found))


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Looks at every request before it goes out, and at how long the answer gets."""

    def __init__(
        self,
        configured: Iterable[str] = (),
        *,
        most: int = MOST,
        verify: bool = True,
        inner: httpx2.AsyncBaseTransport | None = None,
    ):
        self._configured = {origin_of(url) for url in configured}
        self._most = most
        # A kept connection belongs to an address, not to a name: among strangers none is used twice.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100 if self._configured else 0)
        self._inner = inner or httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        scheme, host, port = origin = origin_of(request.url)
        if scheme not in ("http", "https"):
            raise Refused(f"Only http and https are spoken, not {scheme!r}.")
        request.headers["Accept-Encoding"] = "identity"  # a small answer cannot unfold into a huge one
        if origin in self._configured:
            await self._refuse_ours(host, port)
            response = await self._inner.handle_async_request(request)
        else:
            response = await self._to_stranger(request, host, port)
        return self._limited(response)

    async def _refuse_ours(self, host: str, port: int) -> None:
        ours = has_our_name(host, port) or (port == settings.BATCH_PORT and is_ours(await _resolved(host, port), port))
        if ours:
            raise Refused(
                f"{host} port {port} is this site itself (BATCH_PORT, BATCH_HOSTS), which must not call itself."
            )

    async def _to_stranger(self, request: httpx2.Request, host: str, port: int) -> httpx2.Response:
        if request.url.userinfo:
            raise Refused("An address with a password in it is not followed.")
        if port not in PORTS:
            raise Refused(f"Port {port} is not allowed; only {', '.join(map(str, sorted(PORTS)))} are.")
        addresses = await _resolved(host, port)
        await self._refuse_ours(host, port)
        if not addresses or not all(is_public(address) for address in addresses):
            raise Refused(f"{host} is not on the open Internet; only hosts of the configuration may be elsewhere.")
        url, error = request.url, None
        for address in addresses[:4]:
            # The connection goes to this very address; the name stays in the Host header and in TLS.
            request.url = url.copy_with(host=address)
            request.extensions = {**request.extensions, "sni_hostname": host}
            try:
                return await self._inner.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as problem:
                error = problem
            finally:
                request.url = url
        raise error

    def _limited(self, response: httpx2.Response) -> httpx2.Response:
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise TooMuch("The answer is compressed, which was not asked for.")
        response.stream = _LimitedStream(response.stream, self._most)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _LimitedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, most: int):
        self._inner, self._left, self._most = inner, most, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            self._left -= len(part)
            if self._left < 0:
                raise TooMuch(f"The answer has more than {self._most:,} bytes.")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _resolved(host: str, port: int) -> list[str]:
    try:
        return await resolve(host, port)
    except (OSError, UnicodeError):
        raise httpx2.ConnectError(f"The name {host} has no address.") from None


def client(*configured: str, verify: bool = True, most: int = MOST, **more) -> httpx2.AsyncClient:
    """A client that reaches these addresses wherever they are, and any other one only on the open Internet."""
    return httpx2.AsyncClient(
        transport=GuardedTransport(configured, verify=verify, most=most),
        timeout=more.pop("timeout", httpx2.Timeout(CONNECT, read=None)),
        trust_env=False,
        follow_redirects=False,
        **more,
    )


async def fetch(url: str, *, most: int = MOST, transport: httpx2.AsyncBaseTransport | None = None) -> bytes:
    """The file at an address that somebody named.

    Raises httpx2's errors (Refused among them), TimeoutError, ValueError for what is no address.
    """
    try:
        target = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise ValueError(f"that is no address: {error}") from None
    guard = GuardedTransport(most=most, inner=transport)
    async with (
        asyncio.timeout(FETCH),
        httpx2.AsyncClient(transport=guard, timeout=CONNECT, trust_env=False, max_redirects=REDIRECTS) as http,
    ):
        for _ in range(REDIRECTS + 1):
            async with http.stream("GET", target, follow_redirects=False) as response:
                if response.next_request is None:
                    response.raise_for_status()
                    return await response.aread()
                target = response.next_request.url
    raise httpx2.TooManyRedirects(f"more than {REDIRECTS} redirects")
