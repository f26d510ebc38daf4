"""What strategies stand on: the job, its rows, what a finished folder holds."""

from __future__ import annotations
