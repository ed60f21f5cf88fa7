"""CSV and TSV: each row with the names of its columns."""

import csv
import io

from .blocks import Block, Unreadable, decode, one_line

csv.field_size_limit(10 * 1024 * 1024)


def read(data: bytes) -> list[Block]:
    """Return one block for each row. Raises Unreadable."""
    text = decode(data)
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = csv.reader(io.StringIO(text, newline=""), dialect)
        names = [one_line(name) for name in next(rows, [])]
        blocks = [
            Block(line, (), {"row": number}, flowing=False)
            for number, row in enumerate(rows, 2)
            if (line := _line(names, row))
        ]
    except csv.Error as error:
        raise Unreadable(f"It is not valid CSV: {error}.") from error
    return blocks or [Block(", ".join(names), (), {"row": 1}, flowing=False)]


def _line(names: list[str], row: list[str]) -> str:
    named = [(names[at] if at < len(names) else "", one_line(value)) for at, value in enumerate(row)]
    return "; ".join(f"{name}: {value}" if name else value for name, value in named if value)
