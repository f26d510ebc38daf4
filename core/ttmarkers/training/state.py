"""What a training run was begun with, so that it is resumed with the same or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.blocks.source import read_source, template_component
from ttmarkers.datasets import expand
from ttmarkers.errors import ConfigError
from ttmarkers.manifest import write_json
from ttmarkers.models.loading import is_scratch
from ttmarkers.training.processes import processes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttmarkers.training.job import TrainingJob

STATE = "state.json"


def state_of(job: TrainingJob) -> dict[str, Any]:
    """Return all that the result of a run depends on: config, files with sizes and times, template, processes."""
    held_out = job.config.train.held_out
    component = template_component(job.config.template, job.plugins)
    state = {
        **job.config.model_dump(mode="json"),
        "model": [job.model, *([] if is_scratch(job.model) else _stamps(_files(Path(job.model))))],
        "rows": _stamps(map(Path, expand(job.inputs))),
        "held-out rows": _stamps(map(Path, expand(held_out if isinstance(held_out, list) else []))),
        "template": [job.config.template, hashlib.sha256(read_source(component).encode()).hexdigest()],
        "number of processes": processes(),
    }
    found: dict[str, Any] = orjson.loads(orjson.dumps(state))
    return found


def digest(state: dict[str, Any]) -> str:
    """Return a hash of a state, for ``run.json``."""
    return hashlib.sha256(orjson.dumps(state, option=orjson.OPT_SORT_KEYS)).hexdigest()


def begin(job: TrainingJob) -> None:
    """Note what a run is begun with, or check that one that is resumed was begun with the same.

    Raises:
        ConfigError: with what differs, or if the folder holds something else.
    """
    path, state = job.work / STATE, state_of(job)
    if not path.exists():
        if job.resume and job.output.exists() and any(job.output.iterdir()):
            raise ConfigError(f"{job.output} holds no training run that was interrupted: name another output with -o")
        write_json(path, state)
        return
    try:
        old = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        old = {}
    differs = sorted(key for key in state if old.get(key) != state[key])
    if differs:
        raise ConfigError(
            f"{job.output} was started with other {' and '.join(differs)}: remove it to start anew without --resume"
        )


def is_finished(job: TrainingJob) -> bool:
    """Tell whether a job that is resumed is finished already.

    Raises:
        ConfigError: if what is there was made with other settings or rows.
    """
    if not (job.resume and (job.output / "markers.json").exists()):
        return False
    try:
        made = orjson.loads((job.output / "run.json").read_bytes()).get("state")
    except (OSError, orjson.JSONDecodeError):
        made = None
    if made is not None and made != digest(state_of(job)):
        raise ConfigError(f"{job.output} is finished, with other settings or rows: name another output with -o")
    return True


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _stamps(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    return [(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in paths if path.is_file()]
