"""Files that are replaced as a whole or not at all."""

import pytest

from mmlib.files import replacing, write_text


def test_a_file_is_written_beside_and_then_replaced(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as beside:
        beside.write_text("first")
        assert beside == tmp_path / "new" / "a.txt.part" and not path.exists()
    assert path.read_text() == "first"
    write_text(str(path), "größer")
    assert path.read_text(encoding="utf-8") == "größer"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_block_that_fails_changes_nothing(error, tmp_path):
    path, own = tmp_path / "a.txt", tmp_path / "own"
    write_text(path, "old")
    for beside in (None, own):
        with pytest.raises(error), replacing(path, beside) as place:
            place.write_text("half")
            raise error
        with pytest.raises(error), replacing(path, beside):
            raise error  # before anything is written
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
