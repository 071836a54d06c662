import stat
from pathlib import Path

import pytest

from probe._checks import InputError
from probe.storage import write_atomically, write_bytes, write_text


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_the_file_appears_only_when_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    with write_atomically(path) as part:
        assert part.parent == tmp_path and part.name.startswith(".a.txt.") and part.suffix == ".part"
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new" and not leftovers(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(error), write_atomically(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "old" and not leftovers(tmp_path)


def test_missing_folders_are_created(tmp_path):
    assert write_bytes(tmp_path / "a" / "b" / "c.bin", b"\0").read_bytes() == b"\0"


def test_text_is_utf8_and_ends_lines_as_given(tmp_path):
    assert write_text(tmp_path / "a.html", "é\n").read_bytes() == b"\xc3\xa9\n"


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    written = write_text(tmp_path / "written", "")
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_symbolic_link_keeps_pointing_at_the_file_it_names(tmp_path):
    target = write_text(tmp_path / "target", "old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/null/x", "its parent is not a folder"),
        ("/dev/null", "not a regular file"),
        ("/proc/no-such/x.h5", "No such file"),
        ("folder", "it is a folder"),
        ("file/x", "its parent is not a folder"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_destination_that_cannot_be_written_is_named_with_the_reason(tmp_path, path, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"cannot be written: .*({reason}).*Pass a path") as caught:
        write_text(tmp_path / path, "")
    assert "\n" not in str(caught.value)
    assert Path("/dev/null").is_char_device() and {p.name for p in tmp_path.iterdir()} == {"file", "folder"}


def test_a_full_disk_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="No space left"), write_atomically(tmp_path / "a") as part:
        part.write_text("half")
        with Path("/dev/full").open("w") as full:
            full.write("x" * 100_000)
    assert not list(tmp_path.iterdir())
