"""The paper's taxonomy, and the templates that come with ttmarkers, made for it."""

from __future__ import annotations

import pytest

from ttmarkers.blocks.source import read_source
from ttmarkers.blocks.template import Template
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.taxonomies.taxonomy import make_taxonomy

_PLUGINS = create_plugins(third_party=False)
PAPER = make_taxonomy(_PLUGINS.marker_types().all())
SOURCES = {entry.component.name: read_source(entry.component) for entry in _PLUGINS.templates()}
SHIPPED = {name: Template(name, source, PAPER) for name, source in SOURCES.items()}

templates = pytest.mark.parametrize("name", sorted(SHIPPED))
