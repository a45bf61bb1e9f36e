"""`obverse publish` on the command line: what it says, and that nothing leaves the machine unasked."""

from obverse import publishing


def test_publish(obverse, one_view, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(publishing, "push", lambda *args, **kwargs: calls.append((args, kwargs)) or "ADDRESS")
    done = obverse("publish", one_view, tmp_path / "out", "--license", "mit")
    assert done.code == 0, done.err
    assert "bundle, model card\n" in done.out
    assert "no weights for timm, because its network is not one of timm's" in done.out
    assert "trained from scratch" in done.out
    assert calls == []
    again = obverse("publish", one_view, tmp_path / "out")
    assert (again.code, again.out) == (73, "")
    assert "nothing is overwritten" in again.err
    pushed = obverse("publish", one_view / "bundle", tmp_path / "second", "--push", "ada/coins")
    assert "pushed to ADDRESS" in pushed.out
    assert "no numbers on test" in pushed.out
    assert calls == [((tmp_path / "second", "ada/coins"), {"public": False})]


def test_faults_are_seen_before_anything_is_written(obverse, one_view, tmp_path):
    assert obverse("publish", one_view, tmp_path / "out", "--push", "coins").code == 2
    assert obverse("publish", one_view, tmp_path / "out", "--public").code == 2
    assert obverse("publish", tmp_path / "nowhere", tmp_path / "out").code == 65
    assert not (tmp_path / "out").exists()
