"""Results of one time belong together, wherever the process that writes them is killed."""

import os
import signal

import pytest

from obverse.errors import DataError
from obverse.staging import DIGESTS, final_place, require_whole, staged

NAMES = ("a.npy", "b.json", "maps/1.png", "report.html")


def write(folder, text, names=NAMES):
    with staged(folder) as stage:
        assert final_place(stage) == folder
        for name in names:
            (stage / name).parent.mkdir(exist_ok=True)
            (stage / name).write_text(text)


def content(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and ".tmp" not in str(path))
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files if path.name != DIGESTS}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "test", "old", (*NAMES, "maps/2.png", "c.npz"))
    return tmp_path / "test"


def test_new_results_take_the_place_of_the_old_ones(folder):
    (folder / "notes.txt").write_text("mine")
    (folder / "maps" / "mine.png").write_text("mine")
    write(folder, "new")
    mine = {"notes.txt": "mine", "maps/mine.png": "mine"}
    assert content(folder) == dict.fromkeys(NAMES, "new") | mine
    assert not list(folder.glob(".new*"))
    require_whole(folder)
    assert final_place(folder) == folder


def test_results_of_a_time_without_a_list_go_by_their_names(tmp_path):
    (tmp_path / "old.npy").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    require_whole(tmp_path)
    with staged(tmp_path, earlier=["old.npy"]) as stage:
        (stage / "a.npy").write_text("new")
    assert content(tmp_path) == {"a.npy": "new", "notes.txt": "mine"}


def test_a_failure_leaves_the_old_ones(folder):
    before = content(folder)
    with pytest.raises(FileNotFoundError), staged(folder) as stage:
        (stage / "a.npy").with_name("b.npy").rename(stage / "c.npy")
    assert content(folder) == before
    assert not list(folder.glob(".new*"))
    require_whole(folder)


@pytest.mark.parametrize("name", ["a.npy", "b.json", "c.npz"])
def test_a_change_is_noticed(folder, name):
    (folder / name).write_text("changed")
    with pytest.raises(DataError, match=f"{name} is not what was written with the others") as caught:
        require_whole(folder)
    assert caught.value.exit_code == 65


def test_pages_are_for_people_who_may_edit_them(folder):
    (folder / "report.html").write_text("changed")
    (folder / "maps" / "1.png").unlink()
    require_whole(folder)
    assert content(folder)["report.html"] == "changed"


@pytest.mark.parametrize("text", ["[]", "{", '{"../x": "1"}', '{"/x": "1"}', '{"a": 1}', "[" * 100_000])
def test_a_list_that_is_none_is_a_sentence_and_harms_nobody(folder, text):
    (folder / DIGESTS).write_text(text)
    (folder.parent / "x").write_text("mine")
    with pytest.raises(DataError, match="run `obverse evaluate` again"):
        require_whole(folder)
    write(folder, "new")
    require_whole(folder)
    assert (folder.parent / "x").read_text() == "mine"


def killed_at(folder, number):
    """Whether a child that writes new results was killed before the `number`-th change under the folder."""
    child = os.fork()
    if child == 0:
        count = 0
        real = {"replace": os.replace, "unlink": os.unlink, "mkdir": os.mkdir, "rmdir": os.rmdir}

        def counted(name):
            def change(*arguments, **options):
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real[name](*arguments, **options)

            return change

        for name in real:
            setattr(os, name, counted(name))
        write(folder, "new")
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_anywhere_the_results_are_of_one_time_or_refused(tmp_path):
    """And what people read is whole; and the next time makes all well."""
    seen = set()
    for number in range(1, 100):
        folder = tmp_path / str(number)
        write(folder, "old", (*NAMES, "maps/2.png", "c.npz"))
        was_killed = killed_at(folder, number)
        found = content(folder)
        assert found["report.html"] in ("old", "new")
        data = {found[name] for name in ("a.npy", "b.json", "c.npz") if name in found}
        try:
            require_whole(folder)
        except DataError:
            seen.add("refused")
        else:
            assert len(data) == 1
            seen |= data
        write(folder, "last")
        assert content(folder) == dict.fromkeys(NAMES, "last")
        assert not list(folder.glob(".*"))
        if not was_killed:
            break
    assert not was_killed
    assert seen == {"old", "new", "refused"}


def test_another_that_is_writing_is_left_alone(folder):
    with staged(folder) as first:
        write(folder, "second")
        assert first.is_dir()
        (first / "a.npy").write_text("first")
    assert content(folder)["a.npy"] == "first"
