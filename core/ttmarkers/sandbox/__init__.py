"""Programs that a model wrote, run where they can do no harm."""

from __future__ import annotations
