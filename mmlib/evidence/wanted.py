"""The rows that `make tuning` and `make results` leave: scenario, method, epochs, options, seed."""

from collections.abc import Sequence

from mmlib.evidence import arms


def tuning_rows(seeds: Sequence[int], epochs: int) -> list[tuple]:
    """Every point of `arms.GRID` at each seed."""
    grid = []
    for method, grids in arms.GRID.items():
        change, scenario = arms.ARMS[method].change, arms.TUNED_ON.get(method, "imbalanced")
        for point in arms.points(grids):
            grid += [(scenario, method, epochs, point | change, seed) for seed in seeds]
    return grid


def table_rows(
    chosen: dict[str, dict], seeds: Sequence[int], epochs: int
) -> dict[str, list[tuple]]:
    """Table -> its rows, with the options that were `chosen` for each method."""
    wanted = {}
    for name, scenarios in arms.TABLES.items():
        wanted[name] = [
            (scenario, method, arm.epochs(scenario, epochs), arm.options(chosen), seed)
            for scenario, methods in scenarios.items()
            for method, arm in ((method, arms.ARMS[method]) for method in methods)
            for seed in seeds
        ]
    if "noise" in wanted:  # corrupting the test split takes long, and is done once a seed
        wanted["noise"].sort(key=lambda row: row[-1])
    return wanted
