"""The files of a run: written before it, collected after it, removed in the end.

What is collected was made by a hostile program: nothing is followed, nothing but plain files is opened, everything is
counted. It is looked at when all its processes are dead.
"""

from __future__ import annotations

import binascii
import itertools
import os
import stat

ONE = 2 * 1024 * 1024  # bytes of one file that comes back
ALL = 8 * 1024 * 1024  # bytes of all of them
COUNT = 100  # files that come back, or are named
LOOKED_AT = 20_000  # entries that are looked at


def write(folder: str, files: dict) -> None:
    """Write name → {"text"} or {"base64"} below `folder`, which is empty and in nobody else's hands. Raises OSError."""
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(_bytes(content))


def _bytes(content: dict) -> bytes:
    if "base64" in content:
        return binascii.a2b_base64(content["base64"])
    return content["text"].encode("utf-8", "surrogatepass")


def collect(folder: int, given: dict, wanted: list[str] | None) -> dict:
    """What the program left below the open `folder`: name → text, {"base64": …} or {"skipped": why, "size": n}.

    `wanted` holds patterns; without it, all that is new or changed.
    """
    import fnmatch  # slow to load, and few need it

    kept, size = {}, 0
    for name, status in _walk(folder):
        if stat.S_ISDIR(status.st_mode):
            continue
        if wanted is not None and not any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted):
            continue
        if len(kept) >= COUNT:
            kept["…"] = {"skipped": f"there are more than {COUNT} files"}
            break
        reason = ""
        if not stat.S_ISREG(status.st_mode):
            reason = "it is no plain file"
        elif status.st_size > ONE:
            reason = f"it is larger than {ONE} bytes"
        elif size + status.st_size > ALL:
            reason = f"all together are larger than {ALL} bytes"
        if reason:
            if stat.S_ISREG(status.st_mode) or wanted is not None:
                kept[_printable(name)] = {"skipped": reason, "size": status.st_size}
            continue
        content = _read(folder, name, status)
        if content is None or (wanted is None and name in given and content == _bytes(given[name])):
            continue
        size += len(content)
        kept[_printable(name)] = _shown(content)
    return kept


def _walk(folder: int, most: int = LOOKED_AT):
    """(path, status) of what lies below; no more than `most`."""
    ahead, seen = [""], 0
    while ahead:
        inside = ahead.pop()
        try:
            place = os.open(inside or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        except OSError:
            continue  # without permission, or too deep to be named
        try:
            names = []
            with os.scandir(place) as entries:
                for entry in itertools.islice(entries, most - seen):
                    names.append(entry.name)
            seen += len(names)
            below = []
            for name in sorted(names):
                try:
                    status = os.stat(name, dir_fd=place, follow_symlinks=False)
                except OSError:
                    continue  # in a folder that may be listed and not entered
                path = f"{inside}/{name}" if inside else name
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    below.append(path)
            ahead += reversed(below)
        finally:
            os.close(place)


def _read(folder: int, name: str, status: os.stat_result) -> bytes | None:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        now = os.fstat(descriptor)
        if not stat.S_ISREG(now.st_mode) or (now.st_dev, now.st_ino) != (status.st_dev, status.st_ino):
            return None
        return file.read(ONE)


def _shown(content: bytes):
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\x00"
    return {"base64": binascii.b2a_base64(content, newline=False).decode()} if "\x00" in text else text


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def remove(folder: str) -> None:
    """Remove a folder with all that is in it, however deep and whatever its permissions. Nobody else may be in there.

    It steps from folder to folder, so that no path gets long and no more than two are open.
    """
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    above: list[tuple[str, list[str]]] = []  # the name of each folder on the way, and what else waits beside it
    waiting = _unlink_files(here)
    while waiting or above:
        if waiting:
            name = waiting.pop()
            above.append((name, waiting))
            here = _step(here, name)
            waiting = _unlink_files(here)
        else:
            name, waiting = above.pop()
            here = _step(here, "..")
            os.rmdir(name, dir_fd=here)
    os.close(here)
    os.rmdir(folder)


def _step(here: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        there = os.open(name, flags, dir_fd=here)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=here)
        there = os.open(name, flags, dir_fd=here)
    if name != "..":
        os.fchmod(there, 0o700)  # one may be entered and not be emptied
    os.close(here)
    return there


def _unlink_files(here: int) -> list[str]:
    """Remove what is no folder; the names of the folders."""
    with os.scandir(here) as entries:
        folders, others = [], []
        for entry in entries:
            (folders if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
    for name in others:
        os.unlink(name, dir_fd=here)
    return folders


def larger_than(folder: int, entries: int, size: int) -> str:
    """Why the folder is too large; empty while it is not. The program may be at work in there meanwhile."""
    ahead, seen, used = ["."], 0, 0
    while ahead:
        inside = ahead.pop()
        try:
            place = os.open(inside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        except OSError:
            continue  # gone, shut, or too deep to be named
        try:
            with os.scandir(place) as listed:
                for entry in listed:
                    seen += 1
                    if seen > entries:
                        return f"more than {entries} files"
                    if entry.is_dir(follow_symlinks=False):
                        ahead.append(f"{inside}/{entry.name}")
                    else:
                        used += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            pass  # a file went while it was looked at
        finally:
            os.close(place)
        if used > size:
            return f"files of more than {size} bytes"
    return ""
