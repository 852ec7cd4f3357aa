"""Every check is held against right and wrong answers, in the file of its lesson."""

import runpy
from pathlib import Path

from mmlib.exercises.checking import CHECKS


def test_every_check_has_a_right_and_a_wrong_answer():
    files = set(Path(__file__).parent.glob("test_*.py")) - {Path(__file__)}
    modules = [runpy.run_path(str(file)) for file in files]
    right = {check.__name__ for module in modules for check in module["RIGHT"]}
    wrong = {case[0].__name__ for module in modules for case in module["WRONG"]}
    assert right == wrong == {check.__name__ for check in CHECKS.values()}
