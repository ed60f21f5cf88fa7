"""What the settings demand of the sandbox, and the refusal when this machine does not give it."""

from __future__ import annotations

from django.conf import settings

from executor.domain.errors import SandboxUnavailable

from .levels import ISOLATED, Standing, level_named

FIX = {
    ISOLATED: (
        "Allow user namespaces to the worker (sysctl kernel.apparmor_restrict_unprivileged_userns=0, or in a container "
        "its security options), or install bubblewrap"
    ),
    "": "Run the worker on Linux 5.13 or newer with Landlock and seccomp",
}


def demand(standing: Standing) -> None:
    """Raises SandboxUnavailable when this is less than BATCH_CODE_MIN_LEVEL."""
    least = level_named(settings.BATCH_CODE_MIN_LEVEL)
    if standing.allows(least):
        return
    reasons = "".join(f" {launcher}: {reason}." for launcher, reason in standing.why.items() if reason)
    raise SandboxUnavailable(
        f"Programs are not run on this worker: its sandbox reaches the level {standing.level!r}, and {least!r} is the "
        f"least that BATCH_CODE_MIN_LEVEL allows.{reasons} {FIX.get(least, FIX[''])}; or lower BATCH_CODE_MIN_LEVEL, "
        f"knowing what that means, to {standing.level!r}.",
        retryable=False,
    )
