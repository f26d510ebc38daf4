"""What tasks stand on: cases asked and scored, figures with intervals, tables."""

from __future__ import annotations
