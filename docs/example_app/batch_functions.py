"""Four task functions: a plain one, one with progress, one with a parameter model, one that calls a service."""

from collections import Counter
from decimal import Decimal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from executor.domain.errors import TaskFailed
from executor.functions import TaskContext, task_function


@task_function(example={"text": "a rose is a rose", "top": 2})
def count_words(text: str, top: int = 3) -> dict:
    """Count the words of a text and name the most frequent ones."""
    words = text.lower().split()
    return {"words": len(words), "top": Counter(words).most_common(top)}


@task_function(example={"limit": 20000})
def count_primes(limit: int, context: TaskContext) -> int:
    """Count the prime numbers below a limit, the slow way."""
    found = 0
    for number in range(2, limit):
        found += all(number % factor for factor in range(2, int(number**0.5) + 1))
        if number % 1000 == 0:
            context.progress(number, limit, f"{found} found")
    context.log(f"{found} prime numbers below {limit}\n")
    return found


class Line(BaseModel):
    article: str = Field(min_length=1)
    price: Decimal = Field(ge=0)
    pieces: int = Field(1, ge=1)


class Invoice(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lines: list[Line] = Field(min_length=1, description="What was bought.")
    tax_percent: Decimal = Field(Decimal(19), ge=0, le=100, description="Added to the sum of the lines.")


@task_function("invoice_total", example={"lines": [{"article": "tea", "price": "4.50", "pieces": 2}]})
def total(invoice: Invoice) -> dict:
    """Add up an invoice."""
    net = sum(line.price * line.pieces for line in invoice.lines)
    gross = net * (1 + invoice.tax_percent / 100)
    return {"net": f"{net:.2f}", "gross": f"{gross:.2f}"}


@task_function(example={"url": "https://example.org/events", "event": {"kind": "paid"}})
async def post_event(url: str, event: dict, context: TaskContext) -> dict:
    """Send an event to another service as JSON, so that it is carried out once even if it is sent twice."""
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.post(url, json=event, headers={"Idempotency-Key": context.idempotency_key})
    if answer.status_code in (429, 503):
        pause = answer.headers.get("Retry-After", "")
        raise TaskFailed(f"{url} is busy.", retry_after=float(pause) if pause.isdigit() else None)
    if answer.is_client_error:
        raise TaskFailed(f"{url} refuses the event: {answer.status_code}.", retryable=False)
    answer.raise_for_status()
    return {"status": answer.status_code, "attempt": context.attempt}
