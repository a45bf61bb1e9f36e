"""Pictures from the web: only when asked, only http, within limits."""

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import obverse
from obverse.errors import DataError
from obverse.imaging import PictureError
from obverse.inference.download import download


@pytest.fixture(scope="module")
def picture(draw_classes, tmp_path_factory):
    return draw_classes(tmp_path_factory.mktemp("web") / "set", per_class=10)


@pytest.fixture(scope="module")
def run(picture, make_recipe, tmp_path_factory):
    return obverse.train(picture, make_recipe(), run=tmp_path_factory.mktemp("runs") / "run", epochs=1)


@pytest.fixture
def server(picture, monkeypatch):
    """Address of a server whose paths each misbehave in a way of their own."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content = (picture / "light" / "00.png").read_bytes()
    redirects = {
        "/moved": "/good.png",
        "/file": "file:///etc/passwd",
        "/ftp": "ftp://127.0.0.1/a.png",
        "/data": "data:image/png;base64,AAAA",
        "/circle": "/circle",
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path in redirects:
                self.send_response(302)
                self.send_header("Location", redirects[self.path])
                self.end_headers()
            elif self.path == "/good.png":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)
            elif self.path in ("/endless", "/slow"):
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    for _ in range(100):
                        self.wfile.write(b"x" * (1 if self.path == "/slow" else 2**16))
                        time.sleep(0.05 if self.path == "/slow" else 0)
            else:
                self.send_error(404)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_urls_are_refused_unless_asked_for(run, server, picture, tmp_path):
    predictor = obverse.load(run)
    (tmp_path / "list.txt").write_text(f"{server}/good.png\n")
    (tmp_path / "list.csv").write_text(f"image\n{server}/good.png\n")
    for item in (f"{server}/good.png", {"image": f"{server}/good.png"}, tmp_path / "list.txt", tmp_path / "list.csv"):
        with pytest.raises(DataError, match="--allow-urls"):
            predictor.predict(item)


def test_a_picture_of_the_web_is_answered_as_the_file(run, server, picture, tmp_path):
    predictor = obverse.load(run, allow_urls=True)
    (expected,) = predictor.predict(picture / "light" / "00.png")
    (tmp_path / "list.txt").write_text(f"{server}/good.png\n")
    for item in (f"{server}/good.png", f"{server}/moved", {"image": f"{server}/good.png"}, tmp_path / "list.txt"):
        (answer,) = predictor.predict(item)
        assert answer.top == expected.top
    absent, good, other = predictor.predict_each([f"{server}/absent", f"{server}/good.png", "ftp://127.0.0.1/a.png"])
    assert absent.error == f"{server}/absent: it cannot be fetched: the server answers 404 (Not Found)"
    assert (good.id, good.top) == (f"{server}/good.png", expected.top)
    assert "only http and https are fetched" in other.error


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/file", "Redirection to url .* is not allowed"),
        ("/ftp", "only http and https are followed"),
        ("/data", "Redirection to url .* is not allowed"),
        ("/circle", "cannot be fetched"),
        ("/endless", "more than 1,000,000 bytes"),
        ("/slow", "it takes too long"),
    ],
)
def test_limits(server, path, words):
    with pytest.raises(PictureError, match=words):
        download(server + path, max_bytes=1_000_000, total_seconds=0.3)


def test_a_server_that_is_not_there():
    with pytest.raises(PictureError, match="cannot be fetched"):
        download("http://127.0.0.1:1/a.png")
