"""Files of a run: written before it, collected after it, removed in the end.

Collected files were made by a hostile program: no link is followed, nothing but regular files is opened, and numbers
and sizes are limited. They are collected only when all processes of the run are dead.
"""

from __future__ import annotations

import binascii
import itertools
import os
import stat
from collections.abc import Iterator

MAX_FILE_SIZE = 2 * 1024 * 1024  # bytes of one returned file
MAX_TOTAL_SIZE = 8 * 1024 * 1024  # bytes of all returned files
MAX_FILES = 100  # returned or named in the answer
MAX_ENTRIES = 20_000  # visited in the folder


def write(folder: str, files: dict) -> None:
    """Write name → {"text"} or {"base64"} below the empty `folder`, which no other process uses. Raises OSError."""
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


def collect(folder: int, given: dict, patterns: list[str] | None) -> dict:
    """Return the files below the open `folder`: name → text, {"base64": …} or {"skipped": reason, "size": bytes}.

    `patterns` selects names; None selects the files that are new or differ from `given`.
    """
    import fnmatch  # slow to load and rarely needed

    files: dict[str, str | dict] = {}
    size = 0
    for name, status in _walk(folder):
        if stat.S_ISDIR(status.st_mode):
            continue
        if patterns is not None and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue
        if len(files) >= MAX_FILES:
            files["…"] = {"skipped": f"there are more than {MAX_FILES} files"}
            break
        reason = ""
        if not stat.S_ISREG(status.st_mode):
            reason = "it is not a regular file"
        elif status.st_size > MAX_FILE_SIZE:
            reason = f"it is larger than {MAX_FILE_SIZE} bytes"
        elif size + status.st_size > MAX_TOTAL_SIZE:
            reason = f"all files together are larger than {MAX_TOTAL_SIZE} bytes"
        if reason:
            if stat.S_ISREG(status.st_mode) or patterns is not None:
                files[_printable(name)] = {"skipped": reason, "size": status.st_size}
            continue
        content = _read(folder, name, status)
        if content is None or (patterns is None and name in given and content == _bytes(given[name])):
            continue
        size += len(content)
        files[_printable(name)] = _encoded(content)
    return files


def _walk(folder: int, limit: int = MAX_ENTRIES) -> Iterator[tuple[str, os.stat_result]]:
    """Yield (path, status) of the entries below the folder, at most `limit`."""
    pending, seen = [""], 0
    while pending:
        inside = pending.pop()
        try:
            place = os.open(inside or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        except OSError:
            continue  # no permission, or the path is too long
        try:
            names = []
            with os.scandir(place) as entries:
                for entry in itertools.islice(entries, limit - seen):
                    names.append(entry.name)
            seen += len(names)
            below = []
            for name in sorted(names):
                try:
                    status = os.stat(name, dir_fd=place, follow_symlinks=False)
                except OSError:
                    continue  # in a folder that may be listed but not entered
                path = f"{inside}/{name}" if inside else name
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    below.append(path)
            pending += reversed(below)
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
        return file.read(MAX_FILE_SIZE)


def _encoded(content: bytes) -> str | dict:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\x00"
    return {"base64": binascii.b2a_base64(content, newline=False).decode()} if "\x00" in text else text


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def remove(folder: str) -> None:
    """Remove a folder with its contents, at any depth and with any permissions. No other process may use it.

    It steps from folder to folder, so that no path gets too long and at most two descriptors are open.
    """
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    above: list[tuple[str, list[str]]] = []  # each folder on the way: its name, and the siblings still to remove
    siblings = _unlink_files(here)
    while siblings or above:
        if siblings:
            name = siblings.pop()
            above.append((name, siblings))
            here = _step(here, name)
            siblings = _unlink_files(here)
        else:
            name, siblings = above.pop()
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
        os.fchmod(there, 0o700)  # entering may be allowed where deleting is not
    os.close(here)
    return there


def _unlink_files(here: int) -> list[str]:
    """Remove the entries that are not folders; return the names of the folders."""
    with os.scandir(here) as entries:
        folders: list[str] = []
        others: list[str] = []
        for entry in entries:
            (folders if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
    for name in others:
        os.unlink(name, dir_fd=here)
    return folders


def larger_than(folder: int, entries: int, size: int) -> str:
    """Return why the folder exceeds its limits, or an empty string. The program may change it during the check."""
    pending, seen, used = ["."], 0, 0
    while pending:
        inside = pending.pop()
        try:
            place = os.open(inside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        except OSError:
            continue  # removed, no permission, or the path is too long
        try:
            with os.scandir(place) as listed:
                for entry in listed:
                    seen += 1
                    if seen > entries:
                        return f"more than {entries} files"
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{inside}/{entry.name}")
                    else:
                        used += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            pass  # a file was removed during the check
        finally:
            os.close(place)
        if used > size:
            return f"files of more than {size} bytes"
    return ""
