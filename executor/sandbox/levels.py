"""How well a program is contained here: three levels, and what each is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

ISOLATED, RESTRICTED, LIMITS_ONLY = "isolated", "restricted", "limits only"
LEVELS = (LIMITS_ONLY, RESTRICTED, ISOLATED)  # weakest first

NAMESPACES = tuple(f"{kind} namespace" for kind in ("user", "pid", "network", "mount", "ipc", "uts"))
LAYERS = (*NAMESPACES, "landlock", "seccomp", "no new privileges", "resource limits", "memory watchdog")
# A level without one of these is not reached.
NEEDED = {
    ISOLATED: {*NAMESPACES, "seccomp", "no new privileges", "resource limits"},
    RESTRICTED: {"landlock", "seccomp", "no new privileges", "resource limits"},
    LIMITS_ONLY: set(),
}
LEVEL_OF = {"namespaces": ISOLATED, "bubblewrap": ISOLATED, "restricted": RESTRICTED, "limits": LIMITS_ONLY}


def level_named(text: str) -> str:
    """The level that a setting means. Raises ValueError, naming what exists."""
    level = text.strip().lower().replace("-", " ").replace("_", " ")
    level = LIMITS_ONLY if level == "limits" else level
    if level not in LEVELS:
        raise ValueError(f"there is no sandbox level {text!r}; there are {', '.join(LEVELS)}")
    return level


@dataclass(frozen=True)
class Standing:
    """What the probe found: the strongest launcher whose walls a canary felt, and why no stronger one."""

    level: str
    layers: list[str]
    missing: list[str]
    launcher: str
    python: str = ""  # the interpreter that starts in there
    why: dict[str, str] = field(default_factory=dict)  # launcher → what kept it from being used

    def allows(self, least: str) -> bool:
        """Whether this is at least that level."""
        return LEVELS.index(self.level) >= LEVELS.index(least)

    def shown(self) -> dict:
        """As it is shown with each result and on the workers page."""
        return {"level": self.level, "layers": self.layers, "missing": self.missing}
