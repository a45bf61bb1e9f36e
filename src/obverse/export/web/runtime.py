"""ONNX Runtime for browsers: the two files of the npm package onnxruntime-web that an exported page needs.

They are fetched once, by npm, into the cache, and are used only with the digests that stand here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from obverse.errors import UnavailableError, printable
from obverse.files import read_regular, write_whole
from obverse.runtime import cache_folder

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
DIGESTS = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""File in the package's folder `dist` -> SHA-256."""
LICENSE = """\
MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
"""The licence of the package, which goes with its files."""
MAX_BYTES = 64 * 2**20
SECONDS = 600


def runtime_files() -> dict[str, bytes]:
    """The files by name, from the cache or from npm. UnavailableError where neither has them."""
    parent = cache_folder()
    folder = parent / f"onnxruntime-web-{VERSION}" if parent else None
    cached = {name: data for name in DIGESTS if folder and (data := _read(folder / name, name))}
    if len(cached) == len(DIGESTS):
        return cached
    files = _fetched(folder)
    if folder:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                write_whole(folder / name, data)
        except OSError:
            pass  # without a cache they are fetched each time
    return files


def _read(path: Path, name: str) -> bytes | None:
    """The content of a file; None where it is missing, or is not the file of that name."""
    try:
        data = read_regular(path, max_bytes=MAX_BYTES)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == DIGESTS[name] else None


def _fetched(folder: Path | None) -> dict[str, bytes]:
    npm = shutil.which("npm")
    if npm is None:
        raise _unavailable(folder, "npm, which fetches it, is not installed")
    with TemporaryDirectory() as place:
        command = [npm, "pack", PACKAGE, "--pack-destination", place, "--silent"]
        try:
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=SECONDS, check=False)
            if done.returncode:
                raise _unavailable(folder, f"npm cannot fetch it ({_last_line(done.stderr)})")
            with tarfile.open(Path(place) / f"onnxruntime-web-{VERSION}.tgz") as package:
                files = {name: _member(package, name) for name in DIGESTS}
        except subprocess.TimeoutExpired:
            raise _unavailable(folder, f"npm did not fetch it within {SECONDS} seconds") from None
        except (OSError, KeyError, tarfile.TarError):
            raise _unavailable(folder, "what npm fetched is not that package") from None
    wrong = [name for name, data in files.items() if hashlib.sha256(data).hexdigest() != DIGESTS[name]]
    if wrong:
        raise _unavailable(folder, f"what npm fetched has another {wrong[0]} than the one that was tested")
    return files


def _member(package: tarfile.TarFile, name: str) -> bytes:
    """A file of the package, read without unpacking; KeyError where there is none."""
    file = package.extractfile(f"package/dist/{name}")
    if file is None:
        raise KeyError(name)
    return file.read(MAX_BYTES)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return printable(lines[-1].strip()) if lines else "it does not say why"


def _unavailable(folder: Path | None, reason: str) -> UnavailableError:
    place = f"; or put {' and '.join(DIGESTS)} of its folder dist into {str(folder)!r}" if folder else ""
    return UnavailableError(
        f"the page needs {PACKAGE}, but {reason}; install Node.js and check the network{place}, and export again"
    )
