"""Folders are replaced as a whole or not at all, wherever the process is killed, and nothing of others is deleted."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from ser_kit.core import paths
from ser_kit.core.errors import TargetError
from ser_kit.core.paths import put, replaceable, standing, workshop, writable

OLD, NEW = {"card": "old", "weights": "old"}, {"card": "new", "more": "new"}


def filled(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (folder / name).write_text(text)
    return folder


def held(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def killed_at(step: int, work) -> bool:
    """Whether the work was killed, as by SIGKILL, before that many of its steps that write, move or delete."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1] != 0
    left = [step]

    def audit(event, _):
        left[0] -= event.startswith(("os.", "shutil.", "open", "ctypes.dlsym"))
        if not left[0]:
            os._exit(9)

    sys.addaudithook(audit)
    try:
        work()
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks of this process")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_kill_at_any_step_leaves_the_old_folder_or_the_new(tmp_path, monkeypatch, at_once):
    if at_once:
        one, other = filled(tmp_path / "one", OLD), filled(tmp_path / "other", NEW)
        if not paths._exchanged(one, other):
            pytest.skip("the file system cannot exchange two folders")
        assert held(one) == NEW and held(other) == OLD
    else:
        monkeypatch.setattr(paths, "_exchanged", lambda *_: False)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # for those whose machine loses power, and slow
    place = tmp_path / "place"
    filled(place, OLD)

    def replace(content):
        with workshop(place.parent, ".saving-") as unfinished:
            put(filled(unfinished / "made", content), place)

    found = []
    for step in range(1, 1000):
        if not killed_at(step, lambda: replace(NEW)):
            break
        now = held(standing(place))
        assert now in (OLD, NEW)
        assert not at_once or held(place) == now
        found.append(now)
        for unfinished in tmp_path.glob(".saving-*"):  # which is swept up after a day
            shutil.rmtree(unfinished)
        replace(OLD)  # whatever a kill has left, the next one works
        assert held(place) == held(standing(place)) == OLD
    assert held(place) == NEW and OLD in found and NEW in found
    assert found.index(NEW) > 5


def test_the_first_folder_and_a_file_are_put_too(tmp_path):
    put(filled(tmp_path / "made", NEW), tmp_path / "place")
    assert held(tmp_path / "place") == NEW
    for text in ("one", "two"):
        (tmp_path / "made").write_text(text)
        put(tmp_path / "made", tmp_path / "file")
        assert (tmp_path / "file").read_text() == text


def test_a_link_is_followed(tmp_path):
    filled(tmp_path / "elsewhere" / "bundle", OLD)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "bundle")
    (tmp_path / "dangling").symlink_to(tmp_path / "later" / "bundle")
    assert replaceable(tmp_path / "link") == (tmp_path / "elsewhere" / "bundle").resolve()
    assert replaceable(tmp_path / "dangling") == (tmp_path / "later" / "bundle").resolve()


def test_what_cannot_be_replaced_is_known_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    filled(tmp_path / "here" / "below", {})
    monkeypatch.chdir(tmp_path / "here" / "below")
    for folder, message in (
        (".", r"\. is the working directory"),
        ("..", "the working directory, or contains it"),
        ("/proc" if os.path.ismount("/proc") else "/", "is a mount point|working directory"),
        (tmp_path / "file" / "bundle", "file is a file; expected a folder"),
    ):
        with pytest.raises(TargetError, match=message):
            replaceable(folder)
    with pytest.raises(TargetError, match="file is a file; expected a folder"):
        writable(tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(TargetError, match=f"nothing can be written in {tmp_path}"):
        writable(tmp_path / "new")
