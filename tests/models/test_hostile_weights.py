"""Weight files that are made to do harm are refused in one sentence, before their tensors take memory."""

import importlib.util
import json
import os
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from obverse.errors import DataError
from obverse.models.weights.weight_files import read_notes, read_weights

SPEC = importlib.util.spec_from_file_location("hostile_tensors", Path(__file__).with_name("hostile_tensors.py"))
hostile_tensors = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hostile_tensors)
HOSTILE, SOUND, packed = hostile_tensors.HOSTILE, hostile_tensors.SOUND, hostile_tensors.packed


def test_the_sound_one_is_read(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(packed(SOUND))
    assert {name: tuple(t.shape) for name, t in read_weights(tmp_path / "w.safetensors").items()} == {
        "a": (2, 2),
        "b": (4,),
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_of_tensors(name, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(HOSTILE[name])
    for read in (read_weights, lambda path: read_weights(path, "meta"), read_notes):
        with pytest.raises(DataError, match=r"w\.safetensors"):
            read(path)


def test_a_sparse_file_of_16_gb(tmp_path):
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**33))
        file.truncate(2**34)  # takes no room on the disk
    with pytest.raises(DataError):
        read_weights(path)


@pytest.mark.parametrize(
    "names", [{"a": "../outside.safetensors"}, {"a": "{folder}/outside.safetensors"}, {"a": ".."}, {"a": 3}, ["a"], "a"]
)
def test_an_index_that_leads_out_of_its_folder(names, tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    save_file({"a": torch.zeros(2)}, tmp_path / "outside.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}).replace("{folder}", str(tmp_path)))
    with pytest.raises(DataError):
        read_weights(index)


def test_an_index_that_leads_to_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "p.safetensors"}}')
    with pytest.raises(DataError, match="a pipe"):
        read_weights(index)


def rezipped(path, target, *, compression=zipfile.ZIP_STORED, change=lambda name, data: data, more=()):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", compression) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
        for name, data in more:
            new.writestr(name, data)
    return target


def test_a_pth_is_never_unpacked_and_never_inflated(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "w.pth")
    link = zipfile.ZipInfo("w/link")
    link.external_attr = 0o120777 << 16
    sources = {
        "bomb": {"compression": zipfile.ZIP_DEFLATED},
        "traversal": {"more": [("../../evil", "x")]},
        "short": {"change": lambda name, data: data[:10] if name.endswith("data/0") else data},
    }
    for name, changes in sources.items():
        with pytest.raises(DataError, match=rf"{name}\.pth"):
            read_weights(rezipped(tmp_path / "w.pth", tmp_path / f"{name}.pth", **changes))
    linked = rezipped(tmp_path / "w.pth", tmp_path / "link.pth", more=[(link, "/etc/passwd")])
    assert read_weights(linked)["a"].shape == (1000,)  # a member that nobody asks for is not looked at
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bomb.pth", "link.pth", "short.pth", "traversal.pth", "w.pth",
    ]  # fmt: skip
