"""What authors of plugins need to test them: a check for each kind of component, a tiny model, and fixtures.

Each check raises an `AssertionError` with one sentence that says which component breaks which contract, and how to mend
it. Nothing is downloaded, and nothing heavy is imported before a check needs it. Fixtures for pytest are in
`ttmarkers.testing.fixtures`.

Example::

    from ttmarkers.testing import check_plugin

    def test_plugin():
        check_plugin("ttmarkers_mood", arguments={"mood": {"gold": lambda case: ":-)"}})
"""

from __future__ import annotations

from ttmarkers.testing.command_line import Outcome, ttm
from ttmarkers.testing.commands import check_command
from ttmarkers.testing.contract import ConformanceError
from ttmarkers.testing.data import check_guide, check_profile
from ttmarkers.testing.extractors import check_extractor
from ttmarkers.testing.made_up import plugins_with
from ttmarkers.testing.marker_types import check_marker_type
from ttmarkers.testing.modules import check_plugin
from ttmarkers.testing.policies import check_policy
from ttmarkers.testing.rows import ROWS
from ttmarkers.testing.strategies import check_strategy
from ttmarkers.testing.tasks import check_task
from ttmarkers.testing.taxonomy_changes import check_taxonomy_change
from ttmarkers.testing.templates import check_template
from ttmarkers.testing.tiny import marked_rows, tiny_model, write_rows

__all__ = [
    "ROWS",
    "ConformanceError",
    "Outcome",
    "check_command",
    "check_extractor",
    "check_guide",
    "check_marker_type",
    "check_plugin",
    "check_policy",
    "check_profile",
    "check_strategy",
    "check_task",
    "check_taxonomy_change",
    "check_template",
    "marked_rows",
    "plugins_with",
    "tiny_model",
    "ttm",
    "write_rows",
]
