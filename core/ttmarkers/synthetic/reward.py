"""``python -m ttmarkers.synthetic.reward``: what stands in for a reward model on the synthetic corpus.

Reads ``{"prompt": [turns], "answers": [texts]}`` and prints a number for each answer, as scorer ``program`` wants it.
"""

from __future__ import annotations

import json
import sys

from ttmarkers.synthetic.corpus import reward


def main() -> None:
    """Score the answers on standard input."""
    asked = json.load(sys.stdin)
    json.dump([reward(text) for text in asked["answers"]], sys.stdout)


if __name__ == "__main__":
    main()
