"""What a model carries to be used, and in which words its users speak."""

from __future__ import annotations
