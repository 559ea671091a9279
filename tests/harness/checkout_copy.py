# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""checkout_copy.py FROM TO: makes TO hold the files that git tracks or would track in FROM, and no others.

Of a FROM that is no git checkout, it takes all files.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

LEFT_ALONE = {".ansible", ".cache", ".git", ".hypothesis", ".mypy_cache", ".ruff_cache", "__pycache__"}


def listed(checkout: Path) -> set[str]:
    if not (checkout / ".git").exists():
        return present(checkout)
    command = ["git", "-c", f"safe.directory={checkout}", "-C", str(checkout), "ls-files", "-coz", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    # A deleted file is still tracked until it is committed.
    return {name for name in names if name and os.path.lexists(checkout / name)}


def present(root: Path) -> set[str]:
    names: set[str] = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name for name in folders if name not in LEFT_ALONE and Path(folder, name) != root / "tests" / "output"
        ]
        names |= {str(Path(folder, name).relative_to(root)) for name in files}
    return names


def update(source: Path, target: Path) -> None:
    if target.is_file() and filecmp.cmp(source, target) and os.access(source, os.X_OK) == os.access(target, os.X_OK):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def main() -> None:
    checkout, copy = Path(sys.argv[1]), Path(sys.argv[2])
    wanted = listed(checkout)
    for name in present(copy) - wanted:
        (copy / name).unlink()
    for name in sorted(wanted):
        update(checkout / name, copy / name)


if __name__ == "__main__":
    main()
