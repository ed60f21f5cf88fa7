"""DOCX: paragraphs and table rows under their headings."""

import io
import re
import zipfile

from docx import Document
from docx.opc.exceptions import OpcError
from docx.table import Table
from lxml.etree import LxmlError

from .blocks import Block, Unreadable, clean

MAX_UNPACKED = 300 * 1024 * 1024  # bytes; a small archive can hold gigabytes of zeros


def read(data: bytes) -> list[Block]:
    """Return the blocks of a DOCX file. Raises Unreadable."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
                raise Unreadable("The DOCX file is too large when it is unpacked.")
        document = Document(io.BytesIO(data))
        return _blocks(document)
    except (OpcError, LxmlError, zipfile.BadZipFile, KeyError, ValueError, NotImplementedError) as error:
        raise Unreadable(f"The DOCX file is damaged ({type(error).__name__}: {error}).") from error


def _blocks(document) -> list[Block]:
    headings: list[tuple[int, str]] = []
    blocks: list[Block] = []
    for number, item in enumerate(document.iter_inner_content(), 1):
        above, position = tuple(title for _, title in headings), {"paragraph": number}
        if isinstance(item, Table):
            for row in item.rows:
                cells = list(dict.fromkeys(clean(cell.text).strip() for cell in row.cells))
                if any(cells):
                    blocks.append(Block(" | ".join(cells), above, position, flowing=False))
            continue
        text = clean(item.text).strip()
        if not text:
            continue
        if level := _level(item.style.name if item.style is not None else ""):
            headings = [each for each in headings if each[0] < level] + [(level, text)]
        else:
            blocks.append(Block(text, above, position))
    return blocks or [Block(text, (), {"paragraph": 1}) for _, text in headings]


def _level(style: str) -> int:
    """Return 1 for a title or `Heading 1`, and so on; 0 for text."""
    if found := re.fullmatch(r"heading (\d)", style or "", re.IGNORECASE):
        return int(found[1])
    return 1 if (style or "").lower() == "title" else 0
