"""The level of containment that the settings require."""

from __future__ import annotations

from django.conf import settings

from executor.domain.errors import SandboxUnavailable

from .levels import ISOLATED, Containment, parse_level

FIX = {
    ISOLATED: (
        "Allow user namespaces to the worker (sysctl kernel.apparmor_restrict_unprivileged_userns=0, or in a container "
        "its security options), or install bubblewrap"
    ),
    "": "Run the worker on Linux 5.13 or newer with Landlock and seccomp",
}


def require_min_level(containment: Containment) -> None:
    """Raise SandboxUnavailable if the containment is below BATCH_CODE_MIN_LEVEL."""
    min_level = parse_level(settings.BATCH_CODE_MIN_LEVEL)
    if containment.reaches(min_level):
        return
    reasons = "".join(f" {launcher}: {reason}." for launcher, reason in containment.failures.items() if reason)
    raise SandboxUnavailable(
        f"This worker does not run programs: its sandbox reaches level {containment.level!r}, and BATCH_CODE_MIN_LEVEL "
        f"requires {min_level!r}.{reasons} {FIX.get(min_level, FIX[''])}; or set BATCH_CODE_MIN_LEVEL to "
        f"{containment.level!r} if that is acceptable.",
        retryable=False,
    )
