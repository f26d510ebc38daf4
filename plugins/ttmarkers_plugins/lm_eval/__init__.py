"""Models with markers in EleutherAI's lm-evaluation-harness, under the name ``ttmarkers``.

The harness finds models of its own by name and loads no others, so `register` must be called first;
``python -m ttmarkers_plugins.lm_eval`` does that and is its command line from there on.
"""

from __future__ import annotations

NAME = "ttmarkers"


def register() -> None:
    """Make the model class known to the harness; it is imported when it is asked for.

    Raises:
        ModuleNotFoundError: if the harness is not installed.
    """
    import lm_eval.models  # noqa: F401 - the harness registers its own only while nothing is registered
    from lm_eval.api.registry import model_registry

    if NAME not in model_registry:
        model_registry.register(NAME, target="ttmarkers_plugins.lm_eval.model:MarkersLM")
