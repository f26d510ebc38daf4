"""Experiment files: read, laid over each other, unfolded into cells; what is wrong in them is told in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ttmarkers.errors import ConfigError
from ttmarkers.evaluation.run import load_task
from ttmarkers.experiments.file import dump, read_experiment
from ttmarkers.experiments.paper import TABLES, paper_table
from ttmarkers.synthetic.sources import SETS, synthetic_rows

if TYPE_CHECKING:
    from ttmarkers.plugins.manager import Plugins

BASE: dict[str, Any] = {
    "rows": ["synthetic:train:10"],
    "config": {"train": {"model": "scratch:tiny"}, "dropout": {"dataset": 0.5}},
    "systems": {
        "baseline": {"policy": "none", "set": {"train.strategy": "baseline"}},
        "fixed": {"policy": "fixed"},
    },
    "measures": {"length": {"task": "length", "options": {"unit": "words"}}},
}


def write(folder: Path, name: str = "exp.yaml", **keys: Any) -> Path:
    """Write an experiment's file."""
    path = folder / name
    path.write_text(yaml.safe_dump({**BASE, **keys}), encoding="utf-8")
    return path


def test_cells(tmp_path: Path) -> None:
    """Every system is put to every point of the grid, with each seed; what a system sets comes last."""
    grid = {"dropout.dataset": [0.0, 0.7], "seed": [3, 4]}
    read = read_experiment(write(tmp_path, grid=grid))
    measure = read.spec.measures["length"]
    assert read.systems(measure) == ["baseline", "fixed"]
    cells = list(read.cells(measure, "baseline"))
    assert [(cell.label, cell.seed) for cell in cells] == [
        ("baseline, dataset 0.0", 3),
        ("baseline, dataset 0.0", 4),
        ("baseline, dataset 0.7", 3),
        ("baseline, dataset 0.7", 4),
    ]
    assert [cell.config.dropout.dataset for cell in cells] == [0.0, 0.0, 0.7, 0.7]
    assert {cell.config.train.strategy for cell in cells} == {"baseline"}
    assert {cell.config.train.strategy for cell in read.cells(measure, "fixed")} == {"sft"}
    assert cells[0].config.evaluate.options == {"length": {"unit": "words"}}
    assert [cell.config.seed for cell in cells] == [3, 4, 3, 4]


def test_extends(tmp_path: Path) -> None:
    """A file is laid over the one that it extends, and options over both."""
    write(tmp_path, "base.yaml")
    above = tmp_path / "above.yaml"
    above.write_text("extends: base.yaml\ntitle: T\nconfig: {dropout: {dataset: 0.1}}\n", encoding="utf-8")
    read = read_experiment(above, ["config.train.model=scratch:small", "seed=7"])
    assert (read.name, read.spec.title, read.spec.seed) == ("above", "T", 7)
    config = read.config()
    assert (config.dropout.dataset, config.train.model) == (0.1, "scratch:small")
    assert read.seeds == [7]
    again = tmp_path / "again.yaml"
    again.write_bytes(dump(read.spec))
    assert read_experiment(again).spec == read.spec


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"measure": {}}, "did you mean 'measures'"),
        ({"systems": {"a": {"polcy": "none"}}}, "unknown key 'systems.a.polcy' (exp): did you mean 'systems.a.policy'"),
        ({"measures": {"m": {"task": "length", "systems": ["fixt"]}}}, "measures.m names the system 'fixt'"),
        ({"measures": {"m": {"task": "length", "limit": 0}}}, "measures.m.limit"),
        ({"grid": {"seed": []}}, "grid.seed has no values"),
        ({"rows": []}, "there are no rows to train system 'baseline' on: give rows, or its model"),
        ({"marked": ["x.jsonl"]}, "give either rows or marked"),
    ],
    ids=str,
)
def test_wrong_files(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    """What is wrong is told with the file and the key."""
    path = write(tmp_path, **keys)
    with pytest.raises(ConfigError) as caught:
        read_experiment(path)
    assert str(path) in str(caught.value)
    assert message.replace("(exp)", f"({path})") in str(caught.value)


ROOT = Path(__file__).parents[2]
SHIPPED = [
    *sorted(path for path in (ROOT / "examples" / "paper").glob("*/*.yaml") if path.stem != "base"),
    ROOT / "templates" / "ttmarkers_templates" / "experiments" / "quickstart.yaml",
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_experiments(path: Path, plugins: Plugins) -> None:
    """Every experiment that is shipped can be read; its tasks, policies, tables and synthetic sets are there."""
    read = read_experiment(path)
    for name, measure in read.spec.measures.items():
        assert measure.paper is None or paper_table(measure.paper)
        rows = synthetic_rows(measure.data, 0) if measure.data and measure.data.startswith("synthetic:") else []
        for system in read.systems(measure):
            for cell in read.cells(measure, system):
                task = load_task(measure.task, plugins.tasks(), cell.config)
                assert cell.policy in plugins.policies().names
                assert not rows or task.cases(rows)
                for metric in measure.metrics if task.metrics else ():
                    assert metric in task.metrics, f"{name}: {metric}"


def test_wrong_config_in_a_cell(tmp_path: Path) -> None:
    """A dotted key that does not exist is told, wherever it stands."""
    read = read_experiment(write(tmp_path, grid={"dropout.datset": [1]}))
    with pytest.raises(ConfigError, match=r"unknown key 'dropout\.datset' \(exp\)"):
        list(read.cells(read.spec.measures["length"], "fixed"))


def test_profiles(tmp_path: Path) -> None:
    """A profile that the config names stands below it."""
    path = write(tmp_path, config={**BASE["config"], "data": {"profile": "mine"}, "dropout": {"sample": 0.1}})
    profile = "dropout: {sample: 0.9, dataset: 0.2}\nmarkers: {declared: {source: {constant: Human}}}\n"
    config = read_experiment(path, profiles={"mine": profile}.__getitem__).config()
    assert (config.dropout.sample, config.dropout.dataset) == (0.1, 0.2)
    assert config.markers.declared["source"].constant == "Human"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, one that is no YAML or no mapping, and a circle are told."""
    texts = {"a.yaml": "extends: b.yaml\n", "b.yaml": "extends: a.yaml\n", "list.yaml": "- 1\n", "bad.yaml": "a: [\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, message in {
        "gone.yaml": "cannot be read",
        "a.yaml": "extends itself",
        "list.yaml": "must hold keys",
        "bad.yaml": "is no YAML",
    }.items():
        with pytest.raises(ConfigError, match=message):
            read_experiment(tmp_path / name)


@pytest.mark.parametrize("name", sorted(SETS))
def test_synthetic_sets(name: str) -> None:
    """Synthetic rows are a function of name, number and seed, each with an id and a text of its own."""
    rows = synthetic_rows(f"synthetic:{name}:40", 1)
    assert rows == synthetic_rows(f"synthetic:{name}:40", 1)
    assert len(rows) == len({row["id"] for row in rows}) == 40
    assert rows != synthetic_rows(f"synthetic:{name}:40", 2)


@pytest.mark.parametrize("source", ["synthetic:trian:4", "synthetic:train", "synthetic:train:0", "synthetic:train:x"])
def test_wrong_synthetic_sets(source: str) -> None:
    """A set that there is not, or no number, is told."""
    with pytest.raises(ConfigError, match=source):
        synthetic_rows(source, 0)


def test_tables_of_the_paper() -> None:
    """Every row of a table has as many cells as its head; a misspelt name is told."""
    for table in TABLES.values():
        assert all(len(row) == len(table.head) for row in table.rows)
    with pytest.raises(ConfigError, match="did you mean 'table-7'"):
        paper_table("table-77")
