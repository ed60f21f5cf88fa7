"""Levels of containment, and the layers that each is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

ISOLATED, RESTRICTED, LIMITS_ONLY = "isolated", "restricted", "limits only"
LEVELS = (LIMITS_ONLY, RESTRICTED, ISOLATED)  # weakest first

NAMESPACES = tuple(f"{kind} namespace" for kind in ("user", "pid", "network", "mount", "ipc", "uts"))
LAYERS = (*NAMESPACES, "landlock", "seccomp", "no new privileges", "resource limits", "memory watchdog")
# A level is reached only with all of these layers.
REQUIRED_LAYERS: dict[str, set[str]] = {
    ISOLATED: {*NAMESPACES, "seccomp", "no new privileges", "resource limits"},
    RESTRICTED: {"landlock", "seccomp", "no new privileges", "resource limits"},
    LIMITS_ONLY: set(),
}
LEVEL_OF_LAUNCHER = {
    "namespaces": ISOLATED,
    "bubblewrap": ISOLATED,
    "restricted": RESTRICTED,
    "limits": LIMITS_ONLY,
}


def parse_level(text: str) -> str:
    """Return the level that a setting names. Raises ValueError, listing the levels."""
    level = text.strip().lower().replace("-", " ").replace("_", " ")
    level = LIMITS_ONLY if level == "limits" else level
    if level not in LEVELS:
        raise ValueError(f"there is no sandbox level {text!r}; there are {', '.join(LEVELS)}")
    return level


@dataclass(frozen=True)
class Containment:
    """Result of the probe: the strongest launcher whose layers the canary confirmed."""

    level: str
    layers: list[str]
    missing: list[str]
    launcher: str
    python: str = ""  # the interpreter that starts in the sandbox
    failures: dict[str, str] = field(default_factory=dict)  # stronger launcher → why it is not used

    def reaches(self, level: str) -> bool:
        """Return whether this is at least that level."""
        return LEVELS.index(self.level) >= LEVELS.index(level)

    def as_dict(self) -> dict:
        """Return the part for results and the workers page."""
        return {"level": self.level, "layers": self.layers, "missing": self.missing}
