"""Whether an address is this site's own: a tool that calls the site it is called by would wait for itself."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import psutil
from django.conf import settings

LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}


def has_our_name(host: str, port: int) -> bool:
    """Whether people reach this site by that name, perhaps through a proxy."""
    names = {name.strip("[].").lower() for name in settings.ALLOWED_HOSTS} - LOOPBACK - {"*"}
    return host.strip("[].").lower() in names and port in (80, 443, settings.BATCH_PORT)


def is_ours(addresses: Iterable[str], port: int) -> bool:
    """Whether this site itself listens there, as far as this machine can tell."""
    if port != settings.BATCH_PORT:
        return False
    own = {entry.address.partition("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}
    for address in addresses:
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if ip.is_loopback or ip.is_unspecified or str(ip) in own:
            return True
    return False


def leads_to_us(host: str, port: int) -> bool:
    """The same of a name that is looked up, which only happens for our own port."""
    if has_our_name(host, port):
        return True
    if port != settings.BATCH_PORT:
        return False
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return is_ours({entry[4][0] for entry in found}, port)
