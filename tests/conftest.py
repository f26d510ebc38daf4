"""Fixtures of all tests. Nothing is downloaded: the libraries are told to stay offline before they are imported."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy

pytest_plugins = ["ttmarkers.testing.fixtures"]

# their checks say as much when they fail as those of the tests themselves
pytest.register_assert_rewrite("block_setup", "small_models")

_HOME = tempfile.mkdtemp(prefix="ttmarkers-tests-")
os.environ.update(
    {
        "HF_HOME": _HOME,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }
)
os.environ.pop("TTM_DISABLED_PLUGINS", None)

# a shell that runs the tests in the background has it ignored, by every process that they start too
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "default", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("default")

FIT_TEXTS = (
    "<MARKER_LIST> <length_tokens> 199 </length_tokens> <lang> French </lang> </MARKER_LIST>\n",
    "<MARKER_LIST> <task> Translation </task> <lang> German </lang> </MARKER_LIST>\n",
    "What is the capital of France? The capital of France is Paris.\n",
    "Quelle est la capitale de la France ? La capitale de la France est Paris.\n",
    "Was ist die Hauptstadt von Frankreich? Die Hauptstadt von Frankreich ist Paris.\n",
)
"""What the tests' tokenizer is fitted on. The golden files depend on it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the golden files anew."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew in place of comparing")


def pytest_unconfigure() -> None:
    """Remove the libraries' cache folder of this run."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _no_made_up_modules() -> None:
    """Forget the plugins that the tests of another file made up: they may have the same name."""
    made_up = [name for name in sys.modules if name.startswith("ttmarkers_")]
    for name in made_up:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(tempfile.gettempdir()):
            del sys.modules[name]


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    """The built-in plugins alone."""
    from ttmarkers.plugins.manager import create_plugins

    return create_plugins(third_party=False)


@pytest.fixture(scope="session")
def taxonomy(plugins: Plugins) -> Taxonomy:
    """The paper's taxonomy."""
    from ttmarkers.taxonomies.taxonomy import make_taxonomy

    return make_taxonomy(plugins.marker_types().all())


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """A small byte-level tokenizer, the same in every run. Do not change it: copy it."""
    from ttmarkers.models.loading import make_tokenizer

    return make_tokenizer(FIT_TEXTS, 420)


@pytest.fixture(scope="session")
def model(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A model with random weights for `tokenizer`."""
    from ttmarkers.models.loading import SIZES, make_model

    return make_model(SIZES["tiny"], tokenizer, seed=0)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An empty folder for made-up distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder
