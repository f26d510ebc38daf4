"""A program and its tests as one thing to run, language by language: what stands around them, how it is compiled.

Behind the tests a token is printed. In Python tests are run apart from the program, in JavaScript behind it in a block
of their own; in C++ and Rust the tests' functions are called by a ``main`` of ours, in Java by a class of ours.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ttmarkers.sandbox.programs import Program, python_program

if TYPE_CHECKING:
    from ttmarkers.sandbox.programs import Limits
    from ttmarkers_plugins.tasks.code_problems import Problem

_PYTHON = """
import builtins, functools, os, sys, types


def run(path, space):
    with open(path, encoding="utf-8") as stream:
        exec(compile(stream.read(), path, "exec"), space)


def refuse(value, depth=3):
    if isinstance(value, (list, tuple, set, frozenset, dict)) and depth:
        for each in list(value.values() if isinstance(value, dict) else value):
            refuse(each, depth - 1)
    elif type(value) not in (int, str, float, bool) and equals_anything(value):
        raise AssertionError("the answer equals anything")


def equals_anything(value):
    try:
        return (value == object()) is True
    except Exception:
        return False


def guarded(function):
    @functools.wraps(function)
    def call(*given, **named):
        found = function(*given, **named)
        refuse(found)
        return found
    return call


screen = os.dup(1)
sys.stdout = open(os.devnull, "w")
kept = dict(vars(builtins))
solution = sys.modules["solution"] = types.ModuleType("solution")
run("solution.py", vars(solution))
vars(builtins).update(kept)
space = {{name: value for name, value in vars(solution).items() if name not in kept}}
entry = vars(solution).get({entry!r})
if entry is not None:
    space[{entry!r}] = guarded(entry) if isinstance(entry, types.FunctionType) else entry
space["__name__"] = "tests"
run("tests.py", space)
os.write(screen, b"\\n{token}\\n")
os._exit(0)
"""

_JAVASCRIPT = """{program}
{{
  Object.defineProperty(console, "assert", {{
    value: (held, ...more) => {{ if (!held) throw new Error("assertion failed: " + more.join(" ")); }},
  }});
  {{
{tests}
  }}
  require("fs").writeSync(2, "\\n{token}\\n");
  process.exit(0);
}}
"""

_HEADERS = (
    "algorithm array bitset cassert cctype climits cmath cstdint cstdio cstdlib cstring deque functional iomanip "
    "iostream iterator list map numeric queue set sstream stack string tuple unordered_map unordered_set utility vector"
)

_CPP = """{headers}
{program}
#undef NDEBUG
#include <assert.h>
{tests}
int main() {{ ttm_tests(); std::fputs("\\n{token}\\n", stderr); return 0; }}
"""

_JAVA = """{imports}
class Checked {{
    public static void main(String[] given) throws Throwable {{
        Main.main(given);
        System.err.println("\\n{token}");
    }}
}}
{tests}
{program}
"""

_RUST = """#![allow(warnings)]
mod ttm_given {{
{given}
}}
use ttm_given::*;
{program}
{tests}
fn main() {{
{calls}
    eprintln!("\\n{token}");
}}
"""


def assemble(problem: Problem, program: str, token: str, limits: Limits) -> Program:
    """Return what is run to test a program.

    Args:
        problem: that it should solve.
        program: the whole program.
        token: printed behind the tests.
        limits: of the program alone, without its compiler.
    """
    return {
        "python": _python,
        "javascript": _javascript,
        "cpp": _cpp,
        "java": _java,
        "rust": _rust,
    }[problem.language](problem, program, token, limits)


def _python(problem: Problem, program: str, token: str, limits: Limits) -> Program:
    source = _PYTHON.format(entry=problem.entry_point, token=token)
    return python_program(source, {"solution.py": program, "tests.py": problem.tests})


def _javascript(problem: Problem, program: str, token: str, limits: Limits) -> Program:
    plain = re.sub(r"^export\s+(?:default\s+)?", "", program, flags=re.MULTILINE)
    text = _JAVASCRIPT.format(program=plain, tests=problem.tests, token=token)
    node = _tool("node")
    command = (node, f"--max-old-space-size={limits.memory >> 20}", "main.js")
    return Program(command, {"main.js": text}, readable=(node,) if Path(node).is_absolute() else ())


def _cpp(problem: Problem, program: str, token: str, limits: Limits) -> Program:
    plain = re.sub(r"\bint\s+main\s*\(", "int ttm_main(", program)
    tests = re.sub(r"\bint\s+main\s*\(", "int ttm_tests(", problem.tests)
    before, brace, after = tests.rpartition("}")
    headers = "\n".join(f"#include <{name}>" for name in _HEADERS.split())
    text = _CPP.format(headers=headers, program=plain, tests=f"{before}return 0;\n{brace}{after}", token=token)
    build = f"{_tool('g++')} -std=c++17 -O1 -w -o main main.cpp"
    return _built(build, {"main.cpp": text}, limits)


def _rust(problem: Problem, program: str, token: str, limits: Limits) -> Program:
    tests = re.sub(r"#\[(?:test|cfg\(test\))\]", "", problem.tests)
    names = re.findall(r"#\[test\]\s*(?:pub\s+)?fn\s+(\w+)", problem.tests)
    module = re.search(r"^\s*mod\s+(\w+)", tests, re.MULTILINE)
    tests = re.sub(rf"(?:pub\s+)?fn\s+({'|'.join(names) or '$'})\b", r"pub fn \1", tests)
    plain = re.sub(r"^[ \t]*fn\s+main\s*\(\s*\)\s*\{\s*\}", "", program, flags=re.MULTILINE)
    plain = re.sub(r"\bfn\s+main\s*\(", "fn ttm_main(", plain)
    plain = re.sub(r"^#!\[.*\]$", "", plain, flags=re.MULTILINE)
    given, plain = _given(plain, problem)
    place = f"{module[1]}::" if module else ""
    calls = "\n".join(f"    {place}{name}();" for name in names)
    calls = calls or 'panic!("there is no test");'
    text = _RUST.format(given=given, program=plain, tests=tests, calls=calls, token=token)
    root = _rust_root()
    built = _built(f"{root}/bin/rustc --edition 2021 -C overflow-checks=on -o main main.rs", {"main.rs": text}, limits)
    return replace(built, readable=(root,))


def _given(program: str, problem: Problem) -> tuple[str, str]:
    """Take the prompt's imports out of a Rust program, to stand where the program's own may shadow them.

    Imports of crates beyond the standard library are left out.
    """
    given = {line.strip() for line in problem.declaration.splitlines() if line.lstrip().startswith("use ")}
    lines = program.splitlines()
    kept = [line for line in lines if line.strip() not in given]
    found = sorted({line.strip() for line in lines} & given)
    return "\n".join(f"pub {line}" for line in found if line.startswith("use std")), "\n".join(kept)


def _java(problem: Problem, program: str, token: str, limits: Limits) -> Program:
    plain = re.sub(r"\bclass\s+Main\b", "class ProgramMain", program)
    both = re.sub(
        r"^[ \t]*public\s+(?=(?:final\s+|abstract\s+)*(?:class|interface|enum|record)\b)",
        "",
        f"{problem.tests}\n{plain}",
        flags=re.MULTILINE,
    )
    imports = dict.fromkeys(line.strip() for line in re.findall(r"^[ \t]*import\b.*;", both, re.MULTILINE))
    body = re.sub(r"^[ \t]*(?:import|package)\b.*;", "", both, flags=re.MULTILINE)
    text = _JAVA.format(imports="\n".join(imports), tests=body, program="", token=token)
    small = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    build = f"{_tool('javac')} -J-Xmx512m {' '.join('-J' + word for word in small.split())} -nowarn Main.java"
    start = f"{_tool('java')} -ea {small} -Xmx{limits.memory >> 20}m -Xss64m -cp . Checked"
    home = Path(_tool("javac")).parents[1]
    readable = (str(home),) if (home / "release").is_file() else ()
    return replace(_built(build, {"Main.java": text}, limits, start), readable=readable)


def _built(build: str, files: dict[str, str], limits: Limits, start: str = "") -> Program:
    """Return a program that is compiled, and if that went well run with limits of its own."""
    timeout = shutil.which("timeout")
    late = f"{timeout} -k 1 {limits.seconds:g} " if timeout else ""
    held = f"exec {late}{start}" if start else f"ulimit -v {limits.memory >> 10} && exec {late}./main"
    return Program((shutil.which("sh") or "sh", "-c", f"{build} && {held}"), files)


@cache
def _tool(name: str) -> str:
    """Return where a program lies, behind all links, as the sandbox sees few of these; its name if it is not found."""
    found = shutil.which(name)
    return os.path.realpath(found) if found else name


@cache
def _rust_root() -> str:
    """Return the folder of the Rust that is used: ``rustc`` itself may only choose one by the user's settings."""
    command = [shutil.which("rustc") or "rustc", "--print", "sysroot"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else "/usr"
