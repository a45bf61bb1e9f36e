"""Upload of a published folder to the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from obverse.errors import OutputError, RecipeError, UnavailableError

# The hub's own rule: letters, digits, `-`, `_` and `.`, which neither begin nor end a part.
PART = r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
REPOSITORY = re.compile(f"{PART}/{PART}")


def require_name(name: str) -> None:
    """RecipeError when `name` is no OWNER/NAME of a repository."""
    if not REPOSITORY.fullmatch(name) or "--" in name or ".." in name or name.endswith(".git"):
        raise RecipeError(f"--push {name!r} is no repository; give OWNER/NAME, such as ada/coins")


def push(folder: Path, name: str, *, public: bool = False) -> str:
    """Address of the new repository, after the upload of `folder` to it.

    name: OWNER/NAME. public: whether everybody can see it. The login is that of `hf auth login`, or HF_TOKEN.
    Raises OutputError when the repository is there already, UnavailableError when the hub refuses or cannot be reached.
    """
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    require_name(name)
    api = huggingface_hub.HfApi()
    kept = f"the folder {str(folder)!r} is complete and can be pushed later"
    try:
        url = api.create_repo(name, private=not public, exist_ok=False)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Model published with Obverse")
    except HfHubHTTPError as error:
        if getattr(error.response, "status_code", None) == 409:
            raise OutputError(f"{name} is on the hub already, and nothing is overwritten; choose another name; {kept}"
                              ) from None  # fmt: skip
        raise UnavailableError(f"the hub refused {name} ({_first_line(error)}); log in with `hf auth login`, with a "
                               f"token that may write; {kept}") from None  # fmt: skip
    except (OSError, ValueError, RuntimeError) as error:  # no network, no token
        raise UnavailableError(f"{name} could not be pushed ({_first_line(error)}); {kept}") from None
    return str(url)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
