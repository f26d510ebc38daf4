# What CI runs, target by target.
.PHONY: check lint types docs test slow format serve

check: lint types docs test

lint:
	ruff format --check .
	ruff check .
	lint-imports --no-logo

# the second time as users' checkers see the installed package
types:
	mypy
	mypy --config-file tests/typed/mypy.ini --cache-dir .mypy_cache/typed tests/typed

# links, anchors and pages that no menu names are errors; nothing is fetched
docs:
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# two processes, each file in one of them
test:
	python -m pytest -n 2 --dist loadfile

slow:
	python -m pytest -m slow

format:
	ruff format .
	ruff check --fix .

serve:
	NO_MKDOCS_2_WARNING=1 mkdocs serve
