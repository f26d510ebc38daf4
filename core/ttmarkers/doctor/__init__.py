"""What an installation has, lacks, and how to mend it."""

from __future__ import annotations
