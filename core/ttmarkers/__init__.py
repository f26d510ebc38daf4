"""Training-time markers: describe examples, train with the descriptions, steer by them, measure.

Import the modules that you need (``from ttmarkers.blocks.template import Template``); the package itself imports
nothing, so that ``ttm --help`` stays fast.
"""

from __future__ import annotations

__version__ = "0.1.0"
