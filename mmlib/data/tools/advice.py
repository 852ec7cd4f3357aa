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
    missing = () if report.drop else report.missing
    stubs = [fault for fault in missing if "a pointer of" in fault.reason]
    sounds = [fault for fault in stubs if ".wav is" in fault.reason]
    yield from _on_lists(report, known, of_lists)
    if stubs:
        what = "a sound" if sounds and known.videos else "a file"
        yield f"for the pointers: {remedy_for(stubs[0].reason, what)}"
    gone = {fault.id for fault in missing if fault not in stubs}
    near = any("did you mean" in text for text in (*map(str, errors), *(f.reason for f in missing)))
    if near:
        yield "give what lies beside the name, or the format, that is asked for; then check again"
    elif gone or len(errors) > len(of_lists):
        yield from _on_files(report, known, gone)
    elif sounds and _videos(report)[0]:
        yield f"{_command(report)}, which makes them from {known.videos}"
    elif not known.listed and _too_few(report):
        yield f"get the files: {known.media}"
    if missing and report.kept and not (errors or near):
        yield f"or train on the rest, by --data-options missing=drop: {kept_text(report.kept)}"
    if report.strict and report.part and not errors:
        yield "get the other classes, or add --sample where a subset is meant"
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
        errors = [error for error in errors if not getattr(error, "label", "")]
    if errors:
        yield f"lists: {lists}"
    elif not unknown and known.listed and _too_few(report):
        yield f"lists, for these are not the published ones: {lists}"


def _on_files(report: Report, known: Known, gone: set[str]) -> Iterator[str]:
    """How to get the files of these samples, or of all where none could be opened."""
    if not known.videos:
        yield f"get the files: {known.media}"
        return
    command = _command(report)
    made, failed = _videos(report)
    if made - failed if not gone else gone & made - failed:
        yield f"{command}, which makes frames and sound from {known.videos}"
    if gone & failed:
        yield f"replace the videos that {FAILURES} names, then {command}"
    if gone - made or not made:
        what = f" of the other clips ({len(gone - made):,})" if made else ""
        yield f"get the videos{what}: {known.media}"
        folder = inner_folder(report.root, "AVE_Dataset") / known.videos
        yield f"put them in {folder}, then {command}"


def _command(report: Report) -> str:
    return f"python -m mmlib prepare {report.name} {report.root}"


def _videos(report: Report) -> tuple[set[str], set[str]]:
    """Of which clips there are videos, and of which of them `prepare` could make nothing."""
    try:
        made = {clip.id for clip in CLIPS[report.name](report.root, 1.0)[0]}
    except (OSError, ValueError):  # no videos, or no lists
        return set(), set()
    path = report.root / FAILURES
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return made, {line.partition("\t")[0] for line in lines}


def _too_few(report: Report) -> bool:
    return report.strict and not report.as_published and report.part is None
