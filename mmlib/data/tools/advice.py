"""What to do about what `check_data` found, by what is wrong."""

from collections.abc import Iterator, Sequence

from mmlib.data.reading.damage import remedy_for
from mmlib.data.reading.folders import NoList, inner_folder
from mmlib.data.reading.lists import WrongList
from mmlib.data.tools.prepare import CLIPS, FAILURES
from mmlib.data.tools.published import Known
from mmlib.data.tools.report import Report, kept_text


def advice_for(report: Report, known: Known, errors: Sequence[Exception]) -> Iterator[str]:
    """Sentences, in the order in which to follow them; `errors` kept splits from being opened."""
    of_lists = [error for error in errors if isinstance(error, (WrongList, NoList))]
    stubs = [fault for fault in report.missing if _is_stub(fault.reason)]
    gone = {fault.id for fault in report.missing if not _is_stub(fault.reason)}
    yield from _on_lists(report, known, of_lists)
    if stubs:
        sound = stubs[0].reason.split(" is ")[0].endswith(".wav")
        yield f"what is a pointer: {remedy_for(stubs[0].reason, 'a sound' if sound else 'a file')}"
    if gone or len(errors) > len(of_lists):
        yield from _on_files(report, known, gone)
    elif not known.listed and _too_few(report):
        yield f"get the files: {known.media}"
    if report.missing and report.kept and not report.drop:
        yield f"or train on the rest, by --data-options missing=drop: {kept_text(report.kept)}"
    if report.broken:
        yield "get or extract anew what cannot be read"
    if any(leak.fault for leak in report.leaks):
        yield "take what is in two splits out of one of them"


def _on_lists(report: Report, known: Known, errors: Sequence[Exception]) -> Iterator[str]:
    lists = known.lists.replace("ROOT", str(report.root))
    unknown = [error.label for error in errors if getattr(error, "label", "")]
    if unknown and known.has_part(unknown[:1]):
        yield (
            f"the class list is a subset of the published one, without {unknown[0]}: restore it, "
            "or take the samples of its other classes out of all lists"
        )
    elif errors:
        yield f"lists: {lists}"
    elif known.listed and _too_few(report):
        yield f"lists, for these are not the published ones: {lists}"


def _on_files(report: Report, known: Known, gone: set[str]) -> Iterator[str]:
    """How to get the files of these samples, or of all where none could be opened."""
    if not known.videos:
        yield f"get the files: {known.media}"
        return
    command = f"python -m mmlib prepare {report.name} {report.root}"
    made, failed = _videos(report)
    if made - failed if not gone else gone & made - failed:
        yield f"{command}, which makes frames and sound from {known.videos}"
    if gone & failed:
        yield f"replace the videos that {FAILURES} names, then {command}"
    if gone - made or not made:
        what = f"the other {len(gone - made):,} videos" if made else "the videos"
        yield f"get {what}: {known.media}"
        folder = inner_folder(report.root, "AVE_Dataset") / known.videos
        yield f"put them in {folder}, then {command}"


def _videos(report: Report) -> tuple[set[str], set[str]]:
    """Of which clips there are videos, and of which of them `prepare` could make nothing."""
    try:
        made = {clip.id for clip in CLIPS[report.name](report.root, 1.0)[0]}
    except (OSError, ValueError):  # no videos, or no lists
        return set(), set()
    path = report.root / FAILURES
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return made, {line.partition("\t")[0] for line in lines}


def _is_stub(reason: str) -> bool:
    return "a pointer of" in reason


def _too_few(report: Report) -> bool:
    return report.strict and not report.as_published and report.part is None
