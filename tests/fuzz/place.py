"A file whose content changes with each input: in memory, where the system has such a folder."

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_ROOT = Path("/dev/shm") if os.path.isdir("/dev/shm") else None
FOLDER = Path(tempfile.mkdtemp(dir=_ROOT))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def put(name: str, data: bytes) -> Path:
    path = FOLDER / name
    path.write_bytes(data)
    return path
