"""``markers.json``: what a model must carry to be used. Written beside the tokenizer, read back, compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers import __version__
from ttmarkers.blocks.template import Template
from ttmarkers.checkpoints.wording import Wording
from ttmarkers.errors import CheckpointError
from ttmarkers.manifest import write_json
from ttmarkers.provenance import read_parts
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.provenance import Part

FILE = "markers.json"
MIGRATE = "to teach it further, first bring it to today's taxonomy with ttm checkpoint migrate"
FORMAT = 2
"""Of what is written here; 1, which has no migration and no split values, is still written where that is all."""


@dataclass(frozen=True)
class Checkpoint:
    """What a model knows of its markers.

    Attributes:
        strategy: how it was trained.
        marked: whether it knows markers; false for a baseline.
        writes: whether it writes blocks; false where markers stood in prompts alone.
        taxonomy: the marker types of its training data, in block order, in the words that its blocks say.
        migrated: what users call them, if the taxonomy has changed since.
        template_name: the block template's name.
        template_source: its Jinja source, so that nothing else need be installed.
        dropout: its settings.
        rows: number of training examples.
        counts: marker -> value -> number of training examples, in the model's words; for numbers a summary.
        facts: versions, plugins and their parts, quartiles and the like.
    """

    strategy: str
    marked: bool
    taxonomy: Taxonomy
    template_name: str
    template_source: str
    dropout: Mapping[str, Any]
    rows: int
    counts: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    writes: bool = True
    migrated: Wording | None = None

    @property
    def parts(self) -> list[Part]:
        """What had a part in it: components with their distributions; none for models of earlier versions."""
        return read_parts(self.facts)

    @property
    def wording(self) -> Wording:
        """What stands between the words of users and those of the model."""
        return self.migrated or Wording(self.taxonomy)

    def template(self) -> Template:
        """Return the template that the model was trained with."""
        return Template(self.template_name, self.template_source, self.taxonomy)

    def save(self, folder: Path) -> None:
        """Write ``markers.json`` into a model's folder."""
        write_json(
            folder / FILE,
            {
                "format": FORMAT if self.migrated or any(kind.split for kind in self.taxonomy) else 1,
                "ttmarkers": __version__,
                "strategy": self.strategy,
                "marked": self.marked,
                "writes": self.writes,
                "taxonomy": self.taxonomy.to_json(),
                "template": {
                    "name": self.template_name,
                    "hash": self.template().hash,
                    "source": self.template_source,
                },
                "dropout": dict(self.dropout),
                "rows": self.rows,
                "counts": {name: dict(values) for name, values in self.counts.items()},
                **({"migration": self.migrated.to_json()} if self.migrated else {}),
                **self.facts,
            },
        )

    def require(self, *, template: Template | None = None, taxonomy: Taxonomy | None = None) -> None:
        """Raise `CheckpointError`, naming what differs, unless the model was trained with these."""
        if template is not None and template.hash != self.template().hash:
            raise CheckpointError(
                f"the model was trained with template {self.template_name!r} ({self.template().hash[:12]}), "
                f"not {template.name!r} ({template.hash[:12]}): leave the template to the model"
            )
        if taxonomy is not None:
            common = [name for name in self.taxonomy.names if name in taxonomy]
            if common != [name for name in taxonomy.names if name in common]:
                raise CheckpointError(f"the model was trained with its markers in another order: {', '.join(common)}")
            # one that was migrated may learn what is new since
            known = (self.migrated.users if self.migrated else None) or self.taxonomy
            done = "migrated" if self.migrated else "trained"
            for kind in taxonomy:
                if kind.name not in known:
                    raise CheckpointError(f"the model was {done} without the marker {kind.name!r}: {MIGRATE}")
                if known.get(kind.name).values != kind.values:
                    raise CheckpointError(
                        f"the model was {done} with other values of the marker {kind.name!r}: {MIGRATE}"
                    )


def load_checkpoint(model: str) -> Checkpoint:
    """Read the ``markers.json`` of a folder or of a model of the Hub.

    Raises:
        CheckpointError: if there is none, or it is damaged or of a newer format.
    """
    path = find(model)
    if path is None:
        raise CheckpointError(
            f"{model} has no {FILE}, so its markers are not known: train it with ttm train, "
            "or use --policy none to ask it without markers"
        )
    try:
        data = orjson.loads(path.read_bytes())
        if data["format"] > FORMAT:
            raise CheckpointError(f"{path} is of format {data['format']}, newer than this ttmarkers: update it")
        template = data.pop("template")
        known = {"strategy", "marked", "dropout", "rows", "counts"}
        taxonomy, migration = Taxonomy.from_json(data.pop("taxonomy")), data.pop("migration", None)
        return Checkpoint(
            taxonomy=taxonomy,
            migrated=Wording.from_json(migration, taxonomy) if migration is not None else None,
            template_name=template["name"],
            template_source=template["source"],
            **{key: data[key] for key in known},
            writes=data.get("writes", data["marked"]),
            facts={key: value for key, value in data.items() if key not in {*known, "writes", "format", "ttmarkers"}},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}): copy it again from where the model came from") from error


def model_parts(model: str) -> list[Part]:
    """Return what had a part in a model; nothing if it does not say."""
    try:
        return load_checkpoint(model).parts
    except CheckpointError:
        return []


def find(model: str) -> Path | None:
    """Return the path of a model's ``markers.json``, fetched if the model is on the Hub; None if it has none."""
    folder = Path(model)
    if folder.is_dir():
        path = folder / FILE
        return path if path.is_file() else None
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.hf_hub_download(model, FILE))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(f"model {model!r} is no folder, and the Hub cannot be reached: {error}") from error
    except (HfHubHTTPError, HFValidationError):
        return None
