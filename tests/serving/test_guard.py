"""Who may ask, how much and for how long; what is refused, and how."""

import logging
import socket
import time

import pytest

from obverse.errors import BusyError, RecipeError
from obverse.serving import Access, Limits
from obverse.serving.http import guard, server
from obverse.serving.refusals import STATUS

TOKEN = "a-secret-of-enough-letters"
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def small(run_server, one_view):
    """A server that takes 1 MiB."""
    with run_server({"one": one_view}, Limits(max_body_bytes=MEBIBYTE)) as client:
        yield client


@pytest.fixture
def picture(tmp_path, draw_picture):
    return draw_picture(tmp_path / "a.png").read_bytes()


def raw(client, *parts, wait=5.0):
    """What the server answers to bytes, until it closes or `wait` seconds have passed."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=wait) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
            while more := connection.recv(65536):
                received += more
                if b"\r\n\r\n" in received and b"close" not in received:
                    break
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        return received


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "[::1]:8000", "192.168.0.7:9000"])
def test_addresses_and_localhost_are_own_names(small, host):
    assert small.get("/v2", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "x" * 999])
def test_a_foreign_host_name_is_refused(small, host):
    answer = small.get("/v2", headers={"host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign-host")
    assert small.get("/v2/health/live", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_pages_of_other_sites_are_refused(small, picture, origin):
    answer = small.post("/v1/predict", files={"image": picture}, headers={"origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_own_page_may_ask(small, picture):
    origin = str(small.base_url).rstrip("/")
    assert small.post("/v1/predict", files={"image": picture}, headers={"origin": origin}).status_code == 200


def test_a_token_guards_everything_but_probes(run_server, one_view, picture):
    access = Access(TOKEN, frozenset({"coins.example"}))
    with run_server({"one": one_view}, access=access) as client:
        for path in ("/v2", "/v1/models", "/metrics", "/nowhere", "/openapi.json"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        for wrong in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xff"):
            headers = {"authorization": wrong.encode("latin-1")}
            assert client.post("/v1/predict", files={"image": picture}, headers=headers).status_code == 401
        headers = {"authorization": f"Bearer {TOKEN}", "host": "coins.example"}
        assert client.post("/v1/predict", files={"image": picture}, headers=headers).status_code == 200
        assert client.get("/v2/health/ready").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "example.org"])
def test_others_reach_the_server_only_with_a_token_or_on_request(host):
    with pytest.raises(RecipeError, match="give a token"):
        Access.for_address(host, token=None, is_insecure=False, hosts=frozenset())
    with pytest.raises(RecipeError, match="at least 16"):
        Access.for_address(host, token="short", is_insecure=True, hosts=frozenset())
    assert Access.for_address(host, token=TOKEN, is_insecure=False, hosts=frozenset()).token == TOKEN
    assert Access.for_address(host, token=None, is_insecure=True, hosts=frozenset()).token is None
    assert Access.for_address("127.0.0.1", token=None, is_insecure=False, hosts=frozenset()).token is None


def test_every_answer_has_the_headers_that_keep_browsers_from_guessing(small, picture):
    answers = [small.get("/v2"), small.get("/nowhere"), small.post("/v1/predict", files={"image": picture})]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
    named = small.post("/v1/predict", files={"image": ("<script>alert(1)</script>", picture)})
    assert named.headers["content-type"] == "application/json"
    assert named.json()["predictions"][0]["id"] == "script>"  # what follows the last slash, as of every path


def form(num_parts, data=b"x"):
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + data + b"\r\n"
    return part * num_parts + b"--b--\r\n"


def post(client, content, kind="multipart/form-data; boundary=b", path="/v1/predict", **headers):
    headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.post(path, content=content, headers=headers)


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"x" * (MEBIBYTE + 1), {}, "too-large"),
        ((b"x" * 65536 for _ in range(10**6)), {}, "too-large"),
        (form(1000), {}, "too-many"),
        (form(65), {}, "too-many"),
        (form(1), {"content_encoding": "gzip"}, "encoded-body"),
        (form(1), {"content_encoding": "br"}, "encoded-body"),
        (form(1)[:-9], {}, "bad-multipart"),
        (b"--b\r\nContent-Disposition: form-data; name=" + b"x" * 10_000 + form(1), {}, "bad-multipart"),
        (b"--b\r\nno header at all\r\n\r\n", {}, "bad-multipart"),
        (b"--b--\r\n", {}, "bad-parameter"),
        (b"", {}, "bad-multipart"),
        (form(1), {"kind": "multipart/form-data"}, "bad-multipart"),
        (form(1), {"kind": "multipart/form-data; boundary=" + "b" * 5000}, "bad-multipart"),
        (b"a=b", {"kind": "application/x-www-form-urlencoded"}, "wrong-type"),
        (b"{}", {"kind": "application/json"}, "wrong-type"),
        (b"{}", {"kind": "application/json", "path": "/"}, "bad-json"),
        (b'{"inputs": "eA==", "parameters": 1}', {"kind": "application/json", "path": "/"}, "bad-parameter"),
        (b"x", {"path": "/?top_k=-1"}, "bad-parameter"),
        (b"x", {"path": "/", "kind": ""}, "bad-picture"),
        (b"x", {"path": "/v1/predict?top_k=x", "kind": "image/png"}, "bad-parameter"),
        (b"x", {"path": "/v1/models/other/predict", "kind": "image/png"}, "unknown-model"),
        (b"x", {"path": "/v1/models/../../etc/passwd"}, "not-found"),
    ],
)  # fmt: skip
def test_hostile_bodies_get_a_code(small, content, headers, code):
    answer = post(small, content, **headers)
    assert (answer.status_code, answer.json()["code"]) == (STATUS[code], code)
    assert answer.headers["x-obverse-code"] == code


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 400_000 + b"\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n\r\nx", b"413"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nxxxx", b"400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", b"400"),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", b"200"),
    ],
)  # fmt: skip
def test_hostile_heads_get_a_status(small, request_, status):
    assert raw(small, request_)[9:12] == status


def test_a_refused_upload_leaves_the_connection_usable(small, picture):
    before = len(small.server.server_state.connections)
    for _ in range(5):
        assert post(small, b"x" * (MEBIBYTE + 1)).status_code == 413
        assert small.post("/v1/predict", files={"image": picture}).status_code == 200
    assert len(small.server.server_state.connections) <= before + 1


def test_slow_clients_are_closed(run_server, one_view, monkeypatch, picture):
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.1)
    with run_server({"one": one_view}) as client:
        for head in (b"", b"POST / HTTP/1.1\r\nHost: loc", b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\nGET"):
            # Its own time limit ends the test when the server never closes the connection.
            with socket.create_connection((client.base_url.host, client.base_url.port), timeout=30) as connection:
                connection.sendall(head)
                while connection.recv(65536):
                    pass
        body = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx"
        assert raw(client, body)[9:12] == b"408"
        assert client.post("/", content=picture).status_code == 200
        assert client.service.lane().num_requests == 0


def test_the_log_has_nothing_that_a_client_sent(small, picture, caplog):
    with caplog.at_level(logging.DEBUG, "obverse.serving"):
        small.post(
            "/v1/predict?mark=USERBYTES", files={"image": ("USERBYTES.png", picture)}, headers={"x": "USERBYTES"}
        )
        small.get("/USERBYTES")
        small.post("/models/USERBYTES", content=b"USERBYTES")
        post(small, b'--b\r\nContent-Disposition: form-data; name="USERBYTES"\r\n\r\nUSERBYTES\r\n--b--\r\n')
        # A line is written after its answer was sent.
        for _ in range(1000):
            if len(caplog.records) >= 4:
                break
            time.sleep(0.01)
    assert len(caplog.records) >= 4
    assert "/v1/predict 200 ok" in caplog.text
    assert "/models/{model} 404 unknown-model" in caplog.text
    assert "USERBYTES" not in caplog.text


def test_clients_may_connect_before_the_server_runs():
    """The command says its address as soon as it has it."""
    with server.bind("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address, timeout=5) as client:
            assert client.getpeername() == address


def test_a_taken_port_and_an_address_of_another_machine_are_named():
    with server.bind("127.0.0.1", 0) as listener, pytest.raises(BusyError, match="in use by another program"):
        server.bind("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(RecipeError, match=r"cannot listen at 192\.0\.2\.1"):
        server.bind("192.0.2.1", 0)
