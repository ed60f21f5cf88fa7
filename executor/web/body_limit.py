"""The error for a request body over BATCH_MAX_BODY."""

from django.conf import settings

from executor.domain.errors import TooLarge


def body_too_large() -> TooLarge:
    """Return the error."""
    return TooLarge(
        f"The request body is larger than {settings.BATCH_MAX_BODY} bytes.",
        fix="Send the tasks in several calls to the same batch.",
    )
