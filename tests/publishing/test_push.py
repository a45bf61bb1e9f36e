"""`--push`: a new private repository gets the folder, and nothing is pushed unasked. No test reaches the hub."""

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError

from obverse.errors import OutputError, RecipeError, UnavailableError
from obverse.publishing import push


class Response:
    headers: dict = {}  # noqa: RUF012
    request = None

    def __init__(self, code):
        self.status_code = code


def refusal(code):
    error = HfHubHTTPError.__new__(HfHubHTTPError)
    Exception.__init__(error, f"{code} from the hub\nwith more")
    error.response = Response(code)
    return error


@pytest.fixture
def hub(monkeypatch):
    """The calls that reach the hub; `hub.error` is raised instead."""

    class Api:
        calls: list = []  # noqa: RUF012
        error = None

        def create_repo(self, name, *, private, exist_ok):
            if Api.error:
                raise Api.error
            Api.calls.append(("create", name, private, exist_ok))
            return f"https://huggingface.co/{name}"

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            names = sorted(path.name for path in folder_path.iterdir())
            Api.calls.append(("upload", repo_id, names))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return Api


def test_a_private_repository(hub, tmp_path):
    (tmp_path / "README.md").write_text("x")
    assert push(tmp_path, "ada/coins") == "https://huggingface.co/ada/coins"
    assert hub.calls == [("create", "ada/coins", True, False), ("upload", "ada/coins", ["README.md"])]
    push(tmp_path, "ada/coins2", public=True)
    assert hub.calls[2] == ("create", "ada/coins2", False, False)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (refusal(409), OutputError, "nothing is overwritten"),
        (refusal(401), UnavailableError, "hf auth login"),
        (ConnectionError("no network"), UnavailableError, "no network"),
    ],
)
def test_a_hub_that_refuses(error, kind, words, hub, tmp_path):
    hub.error = error
    with pytest.raises(kind, match=words):
        push(tmp_path, "ada/coins")


@pytest.mark.parametrize("name", ["coins", "a/b/c", "ada/--", "ada/co ins", ""])
def test_names(name, hub, tmp_path):
    with pytest.raises(RecipeError, match="OWNER/NAME"):
        push(tmp_path, name)
    assert hub.calls == []
