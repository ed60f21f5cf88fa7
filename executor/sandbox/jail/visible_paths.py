"""Paths of the host that a program may see: programs and libraries, no data."""

from __future__ import annotations

import os

TOP_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into /usr, or folders of their own
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl/certs", "ssl/openssl.cnf", "pki", "localtime")
ETC_NETWORK = ("hosts", "resolv.conf", "nsswitch.conf", "services", "gai.conf")


def covered(path: str, by: list[str]) -> bool:
    """Return whether the path is one of these, or below one."""
    return any(path == one or path.startswith(one.rstrip("/") + "/") for one in by)


def extra(request: dict) -> list[str]:
    """Return the request's folders of interpreters and libraries outside of /usr, none within another."""
    chosen: list[str] = []
    for path in sorted(request["paths"]):
        if os.path.isdir(path) and not covered(path, ["/usr", *chosen]):
            chosen.append(path)
    return chosen


def on_host(request: dict) -> list[str]:
    """Return every path that may be read at the level "restricted", where the program sees the host's file tree."""
    names = ETC + (ETC_NETWORK if request["network"] else ())
    system = ["/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/version", "/sys/devices/system/cpu"]
    return [
        "/usr",
        *(f"/{name}" for name in TOP_FOLDERS),
        *(f"/etc/{name}" for name in names),
        *extra(request),
        *system,
    ]
