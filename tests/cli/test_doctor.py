"""What the doctor says about broken installations, which are imitated here."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest
from typer.testing import CliRunner

from obverse.cli.machine import doctor_checks as doctor
from obverse.cli.main import app
from obverse.runtime import choose_once

NMS = """Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File ".../torchvision/__init__.py", line 10, in <module>
    from torchvision import _meta_registrations, datasets, io, models, ops, transforms, utils
  File ".../torchvision/_meta_registrations.py", line 163, in <module>
    @torch.library.register_fake("torchvision::nms")
RuntimeError: operator torchvision::nms does not exist
"""


@pytest.fixture
def imports(monkeypatch):
    """The import that the doctor tries elsewhere: give what it printed."""

    def imitate(returncode=0, stdout="2.11.0 0.26.0\n", stderr=""):
        done = subprocess.CompletedProcess([], returncode, stdout, stderr)
        monkeypatch.setattr(doctor.subprocess, "run", lambda *args, **kwargs: done)

    imitate()
    return imitate


@pytest.fixture
def versions(monkeypatch):
    """Installed versions other than the real ones; None for a package that is absent."""

    def imitate(**changed):
        real = doctor.version

        def version(name):
            if name not in changed:
                return real(name)
            if changed[name] is None:
                raise PackageNotFoundError(name)
            return changed[name]

        monkeypatch.setattr(doctor, "version", version)

    return imitate


def run_doctor():
    return CliRunner().invoke(app, ["doctor"])


def test_a_torchvision_for_another_torch():
    check = doctor.judge_import_failure(NMS)
    assert check.mark == "error"
    assert "torchvision was built for another torch" in check.what
    assert "operator torchvision::nms does not exist" in check.what
    assert "pip install --force-reinstall torch torchvision" in check.mend


@pytest.mark.parametrize(
    ("stderr", "words"),
    [("ImportError: libcudnn.so.9: cannot open", "libcudnn.so.9"), ("", "the process died"), ("\n", "died")],
)
def test_other_import_failures(stderr, words):
    check = doctor.judge_import_failure(stderr)
    assert (check.mark, bool(check.mend)) == ("error", True)
    assert words in check.what
    assert "another torch" not in check.what


def test_a_broken_import_ends_with_69_and_the_mend(imports):
    imports(returncode=1, stderr=NMS)
    result = run_doctor()
    assert result.exit_code == 69
    assert "mend: install both from one place" in result.output
    assert "Traceback" not in result.output


def test_an_import_that_never_ends(monkeypatch):
    def slow(*args, **kwargs):
        raise subprocess.TimeoutExpired(args[0], doctor.IMPORT_SECONDS)

    monkeypatch.setattr(doctor.subprocess, "run", slow)
    (check,) = [check for check in doctor.diagnose() if "takes more than" in check.what]
    assert check.mark == "error"


def test_the_import_is_tried_with_this_python(monkeypatch):
    commands = []

    def remember(command, **kwargs):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "2.11.0 0.26.0\n", "")

    monkeypatch.setattr(doctor.subprocess, "run", remember)
    marks = {check.what: check.mark for check in doctor.diagnose()}
    assert marks["torch 2.11.0, torchvision 0.26.0 work together"] == "ok"
    assert commands[0][0] == sys.executable


def test_a_missing_requirement(imports, versions):
    versions(simplejpeg=None)
    (check,) = [check for check in doctor.diagnose() if check.what == "simplejpeg is not installed"]
    assert check.mark == "error"
    assert check.mend.startswith("pip install 'simplejpeg")
    assert run_doctor().exit_code == 69


def test_a_wrong_version(imports, versions):
    versions(torch="2.3.0")
    (check,) = [check for check in doctor.diagnose() if check.what.startswith("torch 2.3.0 does not fit")]
    assert check.mark == "error"
    assert ">=2.11" in check.mend
    assert run_doctor().exit_code == 69


def test_a_local_version_of_torch_fits(imports, versions):
    versions(torch="2.11.0+cpu")
    assert "all core packages are installed in fitting versions" in {check.what for check in doctor.diagnose()}


def test_little_shared_memory_and_disk(imports, monkeypatch):
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    found = [check for check in doctor.diagnose() if "1 MiB free" in check.what]
    assert [check.mark for check in found] == ["error"] * len(found)
    assert any("--shm-size" in check.mend for check in found) or not doctor.Path("/dev/shm").is_dir()
    assert run_doctor().exit_code == 69


def test_attention_that_is_not_fused(imports, monkeypatch):
    monkeypatch.delenv("TIMM_FUSED_ATTN", raising=False)
    assert "TIMM_FUSED_ATTN" not in run_doctor().output
    monkeypatch.setenv("TIMM_FUSED_ATTN", "0")
    said = run_doctor()
    assert "need more memory and time" in said.output
    assert said.exit_code == 0


def test_a_healthy_installation_ends_with_0(imports):
    result = run_doctor()
    marks = {line.split()[0] for line in result.output.splitlines() if not line.startswith(" ")}
    assert marks <= {"ok", "note"}
    assert result.exit_code == 0


def test_choices_by_measurement_are_shown_and_cleared(imports, monkeypatch, tmp_path):
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path))
    model = {"backbone": {"kind": "timm", "name": "resnet18"}}
    choose_once("number format", {"shape": [4, 2, 3, 8, 9], "model": model}, lambda: ["fp32", True], is_valid=bool)
    choose_once("matmul", {"side": 512}, lambda: "medium", is_valid=bool)
    lines = [line for line in run_doctor().output.splitlines() if "remembered" in line]
    assert lines[0].startswith("ok      remembered: matmul medium (")
    assert lines[1].startswith("ok      remembered: number format fp32, true (")
    assert lines[1].endswith("resnet18, 4x2x3x8x9)")
    assert "2 choices by measurement forgotten" in CliRunner().invoke(app, ["doctor", "--forget"]).output
    assert "remembered" not in run_doctor().output
    imports(returncode=1, stderr=NMS)
    result = CliRunner().invoke(app, ["doctor", "--forget"])
    assert "were not cleared" in result.output
    assert result.exit_code == 69
