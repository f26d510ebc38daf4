"""Tests of QuixBugs without pytest: its test files import modules that are made here, in the program that runs them.

A test file takes the function from ``python_programs``, its data from ``load_testdata``, graphs from ``node``, and of
pytest only parameters, ``approx``, ``skip`` and two settings. Tests that QuixBugs marks as too slow are skipped, as it
does by default.
"""

from __future__ import annotations

_SUPPORT = """
import json as _json, sys as _sys, types as _types


class _Skipped(Exception):
    pass


class _Near:
    def __init__(self, value, abs=1e-12):
        self.value, self.abs = value, abs

    def __eq__(self, other):
        return type(other) in (int, float) and -self.abs <= other - self.value <= self.abs


class _Mark:
    @staticmethod
    def parametrize(names, rows):
        def keep(test):
            test.rows = rows
            return test
        return keep


class Node:
    def __init__(self, value=None, successor=None, successors=(), predecessors=(), incoming=(), outgoing=()):
        self.value, self.successor = value, successor
        self.successors, self.predecessors = list(successors or ()), list(predecessors or ())
        self.incoming_nodes, self.outgoing_nodes = list(incoming or ()), list(outgoing or ())


def _skip(reason=""):
    raise _Skipped(reason)


def _module(name, **content):
    _sys.modules[name] = _types.ModuleType(name)
    vars(_sys.modules[name]).update(content)


_module("pytest", use_correct=False, run_slow=False, mark=_Mark, approx=_Near, skip=_skip)
_module("load_testdata", load_json_testcases=lambda name: [_json.loads(line) for line in _DATA.splitlines() if line])
_module("node", Node=Node)
_module("python_programs")
_module("python_programs." + _NAME, **{_NAME: globals()[_NAME]})

_space = {"__name__": "quixbugs"}
exec(compile(_TESTS, "quixbugs.py", "exec"), _space)
_done = 0
for _name in [name for name in _space if name.startswith("test") and callable(_space[name])]:
    for _row in getattr(_space[_name], "rows", [()]):
        try:
            _space[_name](*_row)
            _done += 1
        except _Skipped:
            pass
assert _done, "no test was run"
"""


def quixbugs_tests(name: str, pytest: str, data: str) -> str:
    """Return code that runs a test file of QuixBugs on the function of that name, which is defined before it.

    Args:
        name: of the function.
        pytest: the test file.
        data: its rows of input and output, a JSON list a line.
    """
    return f"_NAME = {name!r}\n_TESTS = {pytest!r}\n_DATA = {data!r}\n{_SUPPORT}"
