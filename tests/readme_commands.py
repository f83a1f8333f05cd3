"""Reads the README's two commands out of README.md: `python tests/readme_commands.py demo|test`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def command(name: str, text: str) -> str:
    """Return the shell block that follows the marker `<!-- NAME -->` in the README."""
    found = re.search(rf"<!-- {name} -->\s*```(?:sh|bash)\n(.+?)```", text, flags=re.DOTALL)
    if found is None:
        raise SystemExit(f"README.md has no shell block after <!-- {name} -->")
    return found[1].strip()


if __name__ == "__main__":
    print(command(sys.argv[1], README.read_text(encoding="utf-8")))
