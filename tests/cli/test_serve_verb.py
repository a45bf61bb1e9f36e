"""Options of `obverse serve` reach the server; what cannot be served is said in one sentence."""

import socket
from pathlib import Path

import pytest
import torch

from obverse.serving.http import server


class Started:
    """A server that ends at once, and what it was built with."""

    def __call__(self, service, access, *, has_page):
        self.limits, self.access, self.has_page = service.limits, access, has_page
        self.names, self.num_threads = tuple(service.lanes), torch.get_num_threads()
        self.training = service.training
        self.num_similar = {
            name: lane.predictor.among and lane.predictor.num_similar for name, lane in service.lanes.items()
        }
        self.engines = {name: lane.predictor.engine for name, lane in service.lanes.items()}
        return self

    def run(self, sockets):
        (listener,) = sockets
        with listener:
            self.address = listener.getsockname()[:2]


@pytest.fixture
def started(monkeypatch):
    before, built = torch.get_num_threads(), Started()
    monkeypatch.setattr(server, "build_server", built)
    yield built
    torch.set_num_threads(before)


def test_every_option_reaches_the_server(obverse, started, shapes_run, coins_run, tmp_path):
    (tmp_path / "token").write_text("0123456789abcdef\n")
    options = ("--token-file", tmp_path / "token", "--allow-host", "Pictures.example.org", "--ui")
    numbers = ("--max-batch", 3, "--max-maps", 4, "--max-queue", 5, "--deadline", 2.5, "--max-body", 7, "--threads", 2)
    models = (shapes_run, f"coins={coins_run / 'bundle'}")
    result = obverse("serve", *models, "--host", "0.0.0.0", "--port", 0, *options, *numbers)
    assert result.code == 0, result.err
    host, port = started.address
    assert result.out == f"Serving shapes, coins at http://{host}:{port}\n"
    limits = started.limits
    assert (limits.max_batch, limits.max_maps, limits.max_queue, limits.deadline_seconds) == (3, 4, 5, 2.5)
    assert (limits.max_body_bytes, started.num_threads, started.has_page) == (7 * 2**20, 2, True)
    assert started.access.token == "0123456789abcdef"
    assert started.access.hosts == {"pictures.example.org"}


def test_the_defaults_are_careful(obverse, started, shapes_run, monkeypatch):
    monkeypatch.setenv("OBVERSE_TOKEN", "fedcba9876543210")
    assert obverse("serve", shapes_run, "--port", 0).code == 0
    assert started.address[0] == "127.0.0.1"
    assert (started.access.token, started.has_page) == ("fedcba9876543210", False)
    monkeypatch.delenv("OBVERSE_TOKEN")
    assert obverse("serve", shapes_run, "--port", 0, "--host", "0.0.0.0", "--insecure").code == 0
    assert started.access.token is None


def test_the_engine_is_chosen(obverse, started, shapes_run, monkeypatch):
    """torch by default; `auto` says what it chose."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from obverse.engines import SessionEngine, TorchEngine, choice

    assert obverse("serve", shapes_run, "--port", 0).code == 0
    assert isinstance(started.engines["shapes"], TorchEngine)
    assert obverse("serve", shapes_run, "--port", 0, "--engine", "onnx").code == 0
    assert isinstance(started.engines["shapes"], SessionEngine)
    monkeypatch.setattr(choice, "installed_engines", lambda: ["torch"])
    result = obverse("serve", shapes_run, "--port", 0, "--engine", "auto")
    assert result.code == 0
    assert "engine: torch; no other is installed" in result.err
    assert "Serving shapes at" in result.out


def test_similar_training_pictures_are_wanted_explicitly(obverse, started, shapes_run, coins_run):
    assert obverse("serve", shapes_run, "--port", 0).code == 0
    assert (started.training, started.num_similar) == ({}, {"shapes": None})
    assert obverse("serve", shapes_run, coins_run, "--port", 0, "--similar", 4).code == 0
    assert started.training.keys() == {"shapes", "coins"}
    assert started.num_similar == {"shapes": 4, "coins": 4}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("{run}", "--host", "0.0.0.0"), 2, "others can reach 0.0.0.0: give a token"),
        (("{run}", "--token-file", "missing"), 2, "--token-file missing cannot be read"),
        (("{run}", "--token-file", "short"), 2, "at least 16 ASCII characters"),
        (("{run}", "{run}"), 2, "two models are called shapes"),
        (("a b={run}", "--port", "0"), 65, "a b="),
        (("nowhere", "--port", "0"), 65, "nowhere"),
        (("{run}", "--port", "{port}"), 75, "is in use by another program"),
        (("{run}", "--host", "no.such.host.invalid", "--insecure"), 2, "cannot listen at no.such.host.invalid"),
        (("{run}", "--max-batch", "0"), 2, "--max-batch"),
        (("{run}", "--threads", "100000"), 2, "--threads"),
        (("{run}/bundle", "--port", "0", "--similar", "3"), 2, "is a bundle without its run"),
        (("{run}", "--engine", "tensorflow"), 2, "no engine `tensorflow`; choose auto, torch, onnx, openvino"),
        ((), 2, "MODEL"),
    ],
)
def test_what_cannot_be_served_is_named(refused, started, shapes_run, arguments, code, words):
    Path("short").write_text("secret")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        names = {"run": shapes_run, "port": taken.getsockname()[1]}
        refused(code, words, "serve", *(text.format(**names) for text in arguments))
