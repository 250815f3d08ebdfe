"""A wall clock that jumps for one service alone; needs a C compiler (Debian: gcc)."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from tests.chaos.mounts import needs

SOURCE = Path(__file__).with_name("wall_clock.c")


class WallClock:
    """Compiles the library that is preloaded, and sets its offset. Raises `CannotRunError`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        needs(compiler is not None, "no C compiler")
        self._offset, library = folder / "offset", folder / "wall_clock.so"
        self._offset.write_bytes(bytes(8))
        built = subprocess.run(
            [str(compiler), "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        needs(built.returncode == 0, f"{SOURCE.name} could not be compiled: {built.stderr[:200]}")
        self.env = {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": str(self._offset)}

    def jump_to(self, offset_s: int) -> None:
        """The service's clock differs from the true one by so many seconds from now on."""
        with self._offset.open("r+b") as file:  # in place: it is mapped
            file.write(struct.pack("=q", offset_s))
