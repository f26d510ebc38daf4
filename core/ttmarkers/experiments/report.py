"""Experiments run one after the other in one folder, and reported together: HTML, Markdown and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, OutputExistsError
from ttmarkers.experiments.file import dump
from ttmarkers.experiments.lab import Lab
from ttmarkers.experiments.page import Findings, closing_sections, experiment_sections, main_table
from ttmarkers.experiments.run import check_experiment, run_experiment
from ttmarkers.manifest import atomic, manifest, write_json
from ttmarkers.report import Page, page_markdown, write_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.experiments.file import Experiment
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.report import Table

SUMMARY = "report.json"


@dataclass(frozen=True)
class Reported:
    """What came of experiments.

    Attributes:
        folder: where all is.
        steps: seconds spent in this call, by step.
        found: experiment -> its measures.
    """

    folder: Path
    steps: Mapping[str, float]
    found: dict[str, list[Findings]]

    @property
    def seconds(self) -> float:
        """All that was spent in this call."""
        return sum(self.steps.values())

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.folder / "report.html"

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Yield the titles and main tables of all measures."""
        for measures in self.found.values():
            yield from ((each.title, main_table(each)) for each in measures)

    def to_json(self) -> dict[str, Any]:
        """Return what ``ttm experiment --json`` prints."""
        return {
            "seconds": round(self.seconds, 1),
            "report": str(self.report),
            "experiments": {
                name: {each.measured.name: each.to_json(self.folder) for each in measures}
                for name, measures in self.found.items()
            },
        }


def run_experiments(
    experiments: Sequence[Experiment],
    folder: Path,
    plugins: Plugins,
    say: Callable[[str], None],
    progress: Callable[[str, int], Any],
) -> Reported:
    """Do what is not done yet of some experiments, and write the report.

    Args:
        experiments: to run; they share the folder's data and models.
        folder: of everything that is written: an experiment's, an empty or a new one.
        plugins: the loaded plugins.
        say: takes lines for people.
        progress: see `ttmarkers.experiments.lab.Lab`.

    Raises:
        OutputExistsError: if the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not any((folder / "configs").glob("*.yaml")):
        raise OutputExistsError(f"{folder} exists already and is no experiment's: name another folder with -o")
    names = [experiment.name for experiment in experiments]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two experiments are named {name!r}, by their files: give one file another name")
    lab = Lab(folder, plugins, say, progress)
    for experiment in experiments:
        with atomic(folder / "configs" / f"{experiment.name}.yaml") as stream:
            stream.write(dump(experiment.spec))
        check_experiment(lab, experiment)
    found = {each.name: [Findings(measured) for measured in run_experiment(lab, each)] for each in experiments}
    reported = Reported(folder, lab.seconds, found)
    page = _page(experiments, reported, lab)
    write_page(page, reported.report)
    with atomic(folder / "report.md") as text:
        text.write(page_markdown(page).encode())
    summary = {name: value for name, value in reported.to_json().items() if name != "report"}
    write_json(folder / SUMMARY, summary)
    configs = [str(folder / "configs" / f"{name}.yaml") for name in names]
    write_json(
        folder / "run.json", manifest("experiment", experiments[0].config(), plugins, configs, steps=lab.seconds)
    )
    return reported


def _page(experiments: Sequence[Experiment], reported: Reported, lab: Lab) -> Page:
    """Return one page of all experiments."""
    facts = {"steps of this run": ", ".join(f"{step} {seconds:.0f} s" for step, seconds in lab.seconds.items()) or "-"}
    sections = [
        part for each in experiments for part in experiment_sections(reported.found[each.name], reported.folder)
    ]
    titles = dict.fromkeys(each.spec.title for each in experiments)
    lead = " ".join(dict.fromkeys(text for each in experiments for text in each.spec.text))
    everything = [found for measures in reported.found.values() for found in measures]
    return Page(
        ", ".join(titles),
        lead or "Systems side by side on the same prompts.",
        [*sections, *closing_sections(everything, reported.folder)],
        facts,
    )
