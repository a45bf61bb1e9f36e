"""The runtime of exported pages comes from the cache or from npm, and only with the digests that are known."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from obverse.errors import UnavailableError
from obverse.export.web import runtime, runtime_files

CONTENT = {name: f"the content of {name}".encode() for name in runtime.DIGESTS}
FOLDER = f"onnxruntime-web-{runtime.VERSION}"


@pytest.fixture(autouse=True)
def _known(monkeypatch, tmp_path):
    """A cache of its own, small files, and no npm."""
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}
    monkeypatch.setattr(runtime, "DIGESTS", digests)


@pytest.fixture
def npm(monkeypatch):
    """npm(files or error) makes `npm pack` write a package of these files, or fail with that text; the calls of it."""
    calls = []

    def install(outcome):
        def run(command, **_):
            calls.append(command)
            if isinstance(outcome, str):
                return subprocess.CompletedProcess(command, 1, "", outcome)
            place = Path(command[command.index("--pack-destination") + 1])
            with tarfile.open(place / f"{FOLDER}.tgz", "w:gz") as package:
                for name, data in outcome.items():
                    member = tarfile.TarInfo(f"package/dist/{name}")
                    member.size = len(data)
                    package.addfile(member, io.BytesIO(data))
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(runtime.shutil, "which", lambda _: "/usr/bin/npm")
        monkeypatch.setattr(runtime.subprocess, "run", run)
        return calls

    return install


def test_npm_is_asked_once(npm, tmp_path):
    calls = npm(CONTENT)
    assert runtime_files() == CONTENT
    assert runtime_files() == CONTENT
    assert len(calls) == 1
    assert calls[0][1:3] == ["pack", f"onnxruntime-web@{runtime.VERSION}"]
    assert {path.name for path in (tmp_path / "cache" / FOLDER).iterdir()} == set(CONTENT)


def test_files_that_were_put_there_by_hand_need_no_npm(tmp_path):
    folder = tmp_path / "cache" / FOLDER
    folder.mkdir(parents=True)
    for name, data in CONTENT.items():
        (folder / name).write_bytes(data)
    assert runtime_files() == CONTENT


def test_without_npm_the_message_names_the_files_and_their_place(tmp_path):
    with pytest.raises(UnavailableError, match="npm, which fetches it, is not installed") as caught:
        runtime_files()
    assert caught.value.exit_code == 69
    assert all(name in str(caught.value) for name in (*CONTENT, str(tmp_path / "cache" / FOLDER)))


def test_other_files_are_refused_from_npm_and_from_the_cache(npm, tmp_path):
    other = dict.fromkeys(CONTENT, b"something else")
    folder = tmp_path / "cache" / FOLDER
    folder.mkdir(parents=True)
    for name, data in other.items():
        (folder / name).write_bytes(data)
    npm(other)
    with pytest.raises(UnavailableError, match=r"another ort\.wasm\.bundle\.min\.mjs than the one that was tested"):
        runtime_files()
    npm({"something.js": b""})
    with pytest.raises(UnavailableError, match="is not that package"):
        runtime_files()


def test_what_npm_says_is_passed_on(npm):
    npm("npm error code ENOTFOUND\nnpm error network request failed\n\n")
    with pytest.raises(UnavailableError, match=r"npm cannot fetch it \(npm error network request failed\)"):
        runtime_files()
