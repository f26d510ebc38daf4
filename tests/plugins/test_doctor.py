"""``ttm doctor``: whatever is broken is one line with its remedy, and never a crash."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import Outcome, distribution, ttm_process
from ttmarkers import __version__
from ttmarkers.doctor.checks import EXTRAS, PROGRAMS
from ttmarkers.doctor.findings import Answer, Diagnosis, examine
from ttmarkers_plugins.tasks.code_languages import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

GPU = """
    from contextlib import nullcontext
    from types import SimpleNamespace as Space

    print("noise of a library")
    __version__ = "2.99"
    version = Space(cuda="13.0")
    card = Space(name="Big GPU", total_memory=80 * 2**30)
    cuda = Space(device_count=lambda: 1, get_device_properties=lambda n: card, device=lambda n: nullcontext(),
                 is_bf16_supported=lambda: True)
    backends = Space(mps=Space(is_available=lambda: False))
    get_num_threads = lambda: 7
"""
TORCHES = {
    "missing library": ("raise OSError('libcudart.so.99: cannot open')", "OSError: libcudart.so.99: cannot open"),
    "not there": ("raise ModuleNotFoundError(\"No module named 'torch'\")", "No module named 'torch'"),
    "crashes": ("import os\nos.abort()", "exit code -6"),
    "half": ("version = 1", "has no attribute 'cuda'"),
}
OURS = f"""\
Metadata-Version: 2.1
Name: ttmarkers
Version: {__version__}
Requires-Python: >=3.99
Requires-Dist: click>=99
Requires-Dist: no-such-package>=3
Requires-Dist: pluggy>=1.5
Requires-Dist: no-such-system; sys_platform == "amiga"
Requires-Dist: pluggy>=1; extra == "lora"
Requires-Dist: no-such-ray; extra == "ray"
"""


def _diagnosis(done: Outcome) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of a report by their names."""
    assert "Traceback" not in done.err
    said = done.json()
    assert said["sound"] == (done.code == 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for check in said["checks"]:
        assert set(check) == {"section", "name", "status", "text", "remedy"}
        assert check["status"] == "ok" or check["remedy"] or check["status"] == "failed"
        found.setdefault(check["name"], []).append(check)
    return found


@pytest.fixture
def fast(site: Path) -> Path:
    """A folder with a torch that answers at once, and says that it has a GPU."""
    distribution(site, "fake", {"torch": GPU}, points={})
    (site / "fake-1.0.dist-info" / "entry_points.txt").unlink()
    return site


def test_this_machine() -> None:
    """What is said of the machine that the tests run on is true, in JSON and for people."""
    import torch

    done = ttm_process("doctor", "--json")
    found = _diagnosis(done)
    assert done.code == 0, [check for checks in found.values() for check in checks if check["status"] == "failed"]
    assert any(torch.__version__ in check["text"] for check in found["torch"])
    assert {"Python", "click", "lora", "memory", "sandbox", "offline", "builtin", "completion"} <= set(found)
    assert "HF_HUB_OFFLINE" in found["offline"][0]["text"]


def test_for_people(fast: Path) -> None:
    """The report has sections, remedies, and says at its end whether all is well."""
    distribution(fast, "ttmarkers-bad", {"bad_plugin": "raise RuntimeError('my bug')"})
    done = ttm_process("doctor", site=fast, NO_COLOR="1")
    assert (done.code, done.err) == (1, "")
    lines = done.out.splitlines()
    for section in ("Python and packages", "Devices", "Plugins", "Terminal"):
        assert section in lines
    (line,) = [line for line in lines if "my bug" in line]
    assert line.split()[:2] == ["failed", "bad_plugin"]
    assert "--no-plugin bad_plugin" in lines[lines.index(line) + 1]
    assert lines[-1] == "something that is needed is broken: bad_plugin"
    assert (
        ttm_process("--no-plugins", "doctor", site=fast).out.splitlines()[-1].startswith("all that is needed is there")
    )


def test_devices(fast: Path) -> None:
    """A GPU is told with its memory and abilities, whatever torch prints while it is imported."""
    found = _diagnosis(ttm_process("doctor", "--json", site=fast))
    assert found["cuda:0"][0]["text"] == "Big GPU, 80 GiB, bf16"
    assert "built for CUDA 13.0" in found["torch"][-1]["text"]
    assert "torch uses 7 threads" in found["CPU"][0]["text"]


@pytest.mark.parametrize("kind", TORCHES)
def test_broken_torch(kind: str, site: Path) -> None:
    """A torch that cannot be imported, or takes its process with it, is a failed line, and all others are there."""
    source, reason = TORCHES[kind]
    (site / "torch.py").write_text(source)
    done = ttm_process("doctor", "--json", site=site)
    assert done.code == 1
    found = _diagnosis(done)
    failed = [check for checks in found.values() for check in checks if check["status"] == "failed"]
    (check,) = failed
    assert (check["section"], check["name"]) == ("Devices", "torch")
    assert reason in check["text"]
    assert check["remedy"] == "pip install --force-reinstall torch"
    assert {"memory", "builtin", "completion"} <= set(found)


def test_requirements(fast: Path) -> None:
    """Each dependency is held against what the metadata asks for, and each optional part is told with its use."""
    info = fast / f"ttmarkers-{__version__}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(OURS)
    done = ttm_process("doctor", "--json", site=fast)
    assert done.code == 1
    found = _diagnosis(done)
    (click,), (missing,), (pluggy,) = found["click"], found["no-such-package"], found["pluggy"]
    assert (click["status"], click["remedy"]) == ("failed", "pip install -U 'click>=99'")
    assert (missing["status"], missing["remedy"]) == ("failed", "pip install 'no-such-package>=3'")
    assert "not installed, needed: no-such-package>=3" in missing["text"]
    assert pluggy["status"] == "ok"
    assert "no-such-system" not in found
    assert "needed: >=3.99" in found["Python"][0]["text"]
    assert (found["lora"][0]["status"], found["lora"][0]["remedy"]) == ("ok", "")
    assert (found["ray"][0]["status"], found["ray"][0]["remedy"]) == ("absent", "pip install 'ttmarkers[ray]'")
    assert found["embedding"][0]["status"] == "warning"


def test_plugins(fast: Path) -> None:
    """Plugins are told with what they lack; what looks like a plugin and is none is told too."""
    hooks = "from ttmarkers.hookspecs import hookimpl\n\n\n@hookimpl\ndef ttm_tasks():\n    return []\n"
    distribution(fast, "ttmarkers-needy", {"needy": hooks}, requires=["no-such-package>=3", "click>=99", "pluggy"])
    distribution(fast, "ttmarkers-loud", {"loud": "print('hello')\n" + hooks})
    distribution(fast, "ttmarkers-off", {"off": "raise RuntimeError"})
    for name, group in (
        ("ttmarkers-slip", "ttmarker"),
        ("ttmarkers-dot", "ttmarkers.plugins.manager"),
        ("smile", "ttm_plugins"),
    ):
        distribution(fast, name, {name.replace("-", "_"): hooks})
        points = fast / f"{name.replace('-', '_')}-1.0.dist-info" / "entry_points.txt"
        points.write_text(points.read_text().replace("[ttmarkers]", f"[{group}]"))
    found = _diagnosis(ttm_process("--no-plugin", "off", "doctor", "--json", site=fast))
    needy = {check["text"]: check["remedy"] for check in found["needy"] if check["status"] == "warning"}
    assert needy["ttmarkers-needy 1.0 asks for no-such-package>=3: not installed"] == "pip install 'no-such-package>=3'"
    assert "pip install 'click>=99'" in needy.values()
    assert len(needy) == 2
    assert [check["status"] for check in found["loud"]] == ["ok", "warning"]
    assert found["off"][0]["text"] == "ttmarkers-off 1.0 is disabled"
    told = [check["text"] for check in found["entry points"]]
    for said in (
        "ttmarkers-slip has entry points in the group 'ttmarker', which nobody reads",
        "ttmarkers-dot has entry points in the group 'ttmarkers.plugins.manager', which nobody reads",
        "smile has entry points in the group 'ttm_plugins', which nobody reads",
        "ttmarkers-slip declares no plugin",
    ):
        assert said in told
    assert len(told) == 5


def test_files_and_shell(fast: Path, tmp_path: Path) -> None:
    """Folders that cannot be written to and what the shell lacks are told with the way out."""
    home = tmp_path / "home"
    home.mkdir()
    variables = {
        "HOME": str(home),
        "SHELL": "/bin/zsh",
        "HF_HOME": "/dev/null/hub",
        "XDG_CACHE_HOME": str(home / "new"),
    }
    found = _diagnosis(ttm_process("doctor", "--json", site=fast, HF_HUB_OFFLINE="0", **variables))
    assert found["Hub's cache"][0]["status"] == "warning"
    assert "/dev/null/hub/hub: " in found["Hub's cache"][0]["text"]
    assert found["our cache"][0]["text"].startswith(str(home / "new" / "ttmarkers"))
    assert not (home / "new").exists()
    assert found["completion"][0]["remedy"].startswith("ttm completion zsh > ~/.zsh/functions/_ttm")
    (home / ".zshrc").write_text("source <(ttm completion zsh)\n")
    again = _diagnosis(ttm_process("doctor", "--json", site=fast, **variables))
    assert again["completion"][0]["text"] == "installed for zsh"


def _raise(error: BaseException) -> Any:
    raise error


def _half() -> Iterator[Answer]:
    yield Answer("half", "first")
    raise ValueError("second")


def test_each_question_is_alone() -> None:
    """A question that raises, or ends the process, is a failed line; what cannot be told counts as broken."""
    found = examine(
        [
            ("A", "one", lambda: Answer("one", "fine")),
            ("A", "two", lambda: _raise(RuntimeError("no\nmore"))),
            ("B", "three", lambda: _raise(SystemExit(3))),
            ("B", "half", _half),
            ("B", "four", lambda: Answer("four", "not there", "absent", "get it")),
        ]
    )
    assert [(answer.section, answer.name, answer.status) for answer in found.answers] == [
        ("A", "one", "ok"),
        ("A", "two", "failed"),
        ("B", "three", "failed"),
        ("B", "half", "failed"),
        ("B", "four", "absent"),
    ]
    assert (found.answers[1].text, found.answers[2].text) == ("RuntimeError: no", "SystemExit: 3")
    assert not found.sound
    assert Diagnosis(found.answers[:1]).sound
    with pytest.raises(KeyboardInterrupt):
        examine([("A", "stop", lambda: _raise(KeyboardInterrupt()))])


def test_lists_are_current() -> None:
    """All optional parts are told, and all programs that tasks run."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(EXTRAS) == set(project["project"]["optional-dependencies"]) - {"dev", "docs"}
    assert {tool for language in LANGUAGES.values() for tool in language.tools} <= set(PROGRAMS)
