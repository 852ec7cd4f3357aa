"""The cases of a lesson's file: each check of `RIGHT`, each wrong answer of `WRONG`."""


def pytest_generate_tests(metafunc):
    if "answered" in metafunc.fixturenames:
        cases = metafunc.module.RIGHT.items()
        metafunc.parametrize("answered", cases, ids=[check.__name__ for check, _ in cases])
    if "refused" in metafunc.fixturenames:
        cases = metafunc.module.WRONG
        metafunc.parametrize("refused", cases, ids=[f"{c[0].__name__}-{c[2]}" for c in cases])
