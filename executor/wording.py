"""How sentences for people are put together."""


def counted(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`, `10,000 tasks`"""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
