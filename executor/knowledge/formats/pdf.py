"""PDF: the text of its pages."""

import io
import logging
import re

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from .blocks import Block, Unreadable, clean
from .text import paragraphs

MAX_PAGES = 5000


def read(data: bytes) -> list[Block]:
    """Return the blocks of a PDF file. Raises Unreadable."""
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns about every small flaw of a file
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("The PDF is protected with a password.")
        if len(reader.pages) > MAX_PAGES:
            raise Unreadable(f"The PDF has {len(reader.pages)} pages; at most {MAX_PAGES} are read.")
        blocks = [block for number, page in enumerate(reader.pages, 1) for block in _page(number, page)]
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise Unreadable(f"The PDF is damaged ({type(error).__name__}: {error}).") from error
    if not blocks:
        raise Unreadable("The PDF has no text. If it is a scan, run text recognition (OCR) first.")
    return blocks


def _page(number: int, page) -> list[Block]:
    text = clean(page.extract_text() or "")
    text = re.sub(r"(?<=\w)-\n(?=[a-z])", "", text)  # words that were hyphenated at a line end
    blocks = paragraphs(text.split("\n"), 1)
    return [Block(block.text.replace("\n", " "), (), {"page": number}) for block in blocks]
