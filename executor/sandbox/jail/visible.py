"""What a program sees of the host: its programs and libraries, nothing of its data."""

from __future__ import annotations

import os

TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into /usr, or folders of their own
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl/certs", "ssl/openssl.cnf", "pki", "localtime")
ETC_NETWORK = ("hosts", "resolv.conf", "nsswitch.conf", "services", "gai.conf")


def covered(path: str, by: list[str]) -> bool:
    """Whether the path is one of these, or below one."""
    return any(path == one or path.startswith(one.rstrip("/") + "/") for one in by)


def extra(order: dict) -> list[str]:
    """The folders of interpreters and libraries outside of /usr that the order names, none within another."""
    chosen: list[str] = []
    for path in sorted(order["paths"]):
        if os.path.isdir(path) and not covered(path, ["/usr", *chosen]):
            chosen.append(path)
    return chosen


def on_host(order: dict) -> list[str]:
    """Everything that may be read where the host's file tree is in sight."""
    names = ETC + (ETC_NETWORK if order["network"] else ())
    few = ["/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/version", "/sys/devices/system/cpu"]
    return ["/usr", *(f"/{name}" for name in TOP), *(f"/etc/{name}" for name in names), *extra(order), *few]
