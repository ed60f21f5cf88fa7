"""Locations of the parts of the product: in a checkout, or installed from a wheel."""

from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2]  # the folder that `batchsite` and `executor` are imported from
_CHECKOUT = (PACKAGES / "manage.py").exists()

# The folder that child processes start in and that `var` is made in. Task functions of the site are imported from it.
PROJECT = PACKAGES if _CHECKOUT else Path.cwd()

COMMAND = "manage.py" if _CHECKOUT else "batch-executor"  # for messages to users

# The folder of `templates` and `static`. A wheel has them within a package (pyproject.toml): site-packages is shared.
ASSETS = PACKAGES if _CHECKOUT else PACKAGES / "batchsite"
