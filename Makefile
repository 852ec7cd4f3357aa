# Each target first sees to it that .venv is complete, which takes no time when it is.
# Another Python than the first one found: PYTHON=python3.12 make test
python = .venv/bin/python
# Side by side on the usable cores; what a file or notebook holds stays on one of them, in order.
browser = tests/course/test_browser.py
pytest = $(python) -X warn_default_encoding -m pytest -n auto --dist loadscope --no-loadscope-reorder

lab: set-up  ## open JupyterLab on lesson 1 (what a bare "make" does)
	@$(python) .ci/lab.py $(ARGS)

test: test-units test-notebooks  ## unit tests, then every notebook and solution

test-fast: set-up  ## what one wants after each edit: the unit tests that are not marked slow
	$(pytest) -q -m "not slow" tests

test-units: set-up  ## the unit tests
	$(pytest) -q --durations=10 --ignore=$(browser) tests

test-notebooks: set-up  ## every notebook and solution, and lesson 1 in a browser
	PYTHONPATH=tests $(pytest) -p conftest --nbval-lax --nbval-current-env --nbval-cell-timeout=300 $(browser) notebooks

test-elsewhere: set-up  ## the notebooks as on six other machines: processors, threads, roundings
	$(python) tests/elsewhere.py

run: set-up  ## execute all notebooks in place, with a table of seconds and memory
	$(python) tests/run_notebooks.py

bench: set-up  ## measure the budgets of time and memory
	$(python) tests/bench.py

gpu-check: set-up  ## prove the library on a GPU and measure it, in at most eight minutes
	$(python) tests/gpu_check.py $(ARGS)

tuning: set-up  ## choose every method's options on validation
	$(python) -m mmlib tuning

results: set-up  ## make the tables of assets/results with those options, and the evidence pages
	$(python) -m mmlib results

lint: set-up  ## style of code and notebooks
	$(python) -m ruff check
	$(python) -m ruff format --check

clean:  ## delete what the other targets made
	rm -rf .venv .venv.lock dist .pytest_cache .ruff_cache
	find mmlib tests notebooks -name __pycache__ -prune -exec rm -rf {} +
	find notebooks -name .ipynb_checkpoints -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1  /p' Makefile

set-up:
	@.ci/set-up

.PHONY: lab test test-fast test-units test-notebooks test-elsewhere run bench gpu-check tuning results lint clean help set-up
