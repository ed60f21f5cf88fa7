"""Detection of this site's own addresses: a tool that calls the site would make a batch wait for itself."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import psutil
from django.conf import settings

LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}


def is_own_host_name(host: str, port: int) -> bool:
    """Return whether users reach this site by that name, possibly through a proxy."""
    names = {name.strip("[].").lower() for name in settings.ALLOWED_HOSTS} - LOOPBACK - {"*"}
    return host.strip("[].").lower() in names and port in (80, 443, settings.BATCH_PORT)


def is_own_address(addresses: Iterable[str], port: int) -> bool:
    """Return whether this site listens at one of the IP addresses, as far as this machine can determine."""
    if port != settings.BATCH_PORT:
        return False
    own = {entry.address.partition("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}
    for address in addresses:
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if ip.is_loopback or ip.is_unspecified or str(ip) in own:
            return True
    return False


def resolves_to_self(host: str, port: int) -> bool:
    """Return whether a host is this site. The name is resolved only for the site's own port."""
    if is_own_host_name(host, port):
        return True
    if port != settings.BATCH_PORT:
        return False
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return is_own_address({str(entry[4][0]) for entry in found}, port)
