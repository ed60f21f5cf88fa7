"""Chart of the rate by the number of tasks.

`python -m executor.testbed.benchmark.plot FILE… > growth.svg` draws the output of `manage.py benchmark growth --json`,
one file for each database.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
STYLE = (
    "text{fill:#444}.grid{stroke:#ccc}.sqlite{stroke:#1d5fbf;fill:none}.sqlite circle{fill:#1d5fbf}"
    ".postgresql{stroke:#b3541e;fill:none}.postgresql circle{fill:#b3541e}polyline{stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#bbb}.grid{stroke:#444}}"
)
LEFT, RIGHT, TOP, BOTTOM = 64, 530, 20, 276
GRID = 5  # horizontal lines, about

Rates = dict[str, dict[int, float]]  # database → number of tasks → tasks a second


def svg(rates: Rates) -> str:
    """Return the chart: x is the logarithm of the number of tasks, y is tasks a second."""
    counts = sorted({count for line in rates.values() for count in line})
    most = max(rate for line in rates.values() for rate in line.values())
    step = _round_number(most / GRID)
    top = step * max(1, math.ceil(most / step))
    span = math.log10(counts[-1] / counts[0]) or 1

    def at(count: int, rate: float) -> tuple[float, float]:
        right = LEFT + (RIGHT - LEFT) * math.log10(count / counts[0]) / span
        return round(right, 1), round(BOTTOM - (BOTTOM - TOP) * rate / top, 1)

    def lines() -> Iterator[str]:
        yield '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 320" role="img"'
        yield f' font-family="system-ui, sans-serif" font-size="12"><style>{STYLE}</style>'
        yield "<title>Tasks a second by the number of tasks</title>"
        for rate in range(0, top + 1, step):
            _, y = at(counts[0], rate)
            yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{rate:,}</text>'
        for count in counts:
            yield f'<text x="{at(count, 0)[0]}" y="294" text-anchor="middle">{count:,}</text>'
        yield f'<text x="{(LEFT + RIGHT) / 2}" y="314" text-anchor="middle">tasks in the batch</text>'
        yield f'<text x="{LEFT}" y="12">tasks a second</text>'
        for database, line in rates.items():
            yield f'<g class="{database}">'
            yield f'<polyline points="{" ".join(f"{x},{y}" for x, y in (at(*point) for point in line.items()))}"/>'
            for count, measured in line.items():
                x, y = at(count, measured)
                label = f"{NAMES[database]}: {count:,} tasks, {measured:,.0f} a second"
                yield f'<circle cx="{x}" cy="{y}" r="3.5" stroke="none"><title>{label}</title></circle>'
            yield f'<text x="{x + 8}" y="{y + 4}" stroke="none">{NAMES[database]}</text></g>'
        yield "</svg>"

    return "\n".join(lines()) + "\n"


def _round_number(number: float) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50 … that is not below the number."""
    power = 10 ** max(0, math.floor(math.log10(max(number, 1))))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= number)


def rates_of(answers: list[dict]) -> Rates:
    """Return the rates in outputs of the command."""
    return {
        answer["database"]: {int(count): rate for count, rate in answer["workloads"]["growth"]["rates"].items()}
        for answer in answers
    }


if __name__ == "__main__":
    sys.stdout.write(svg(rates_of([orjson.loads(Path(name).read_bytes()) for name in sys.argv[1:]])))
