"""What the writers of sample trees share: the folder, lists, pictures."""

from pathlib import Path

README = (
    "This is a generated sample of mmlib in the layout of {name}: drawn pictures and synthetic "
    "speech,\nno file of the real data set. It is for trying out the course; results on it say "
    "nothing about {name}.\n"
)


def start_sample(root: str | Path, name: str) -> Path:
    """Make the folder of a sample, with a README that says so.

    Raises `FileExistsError` for a folder that holds something else: lists would be overwritten.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    readme = root / "README.txt"
    ours = readme.is_file() and readme.read_text("utf-8", errors="replace").startswith(README[:26])
    if any(root.iterdir()) and not ours:
        raise FileExistsError(f"{root} is not empty and no sample of mmlib; give another folder")
    readme.write_text(README.format(name=name), encoding="utf-8")
    return root
