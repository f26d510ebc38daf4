"""The harness's command line with our model class: ``python -m ttmarkers_plugins.lm_eval --model ttmarkers ...``."""

from __future__ import annotations

import sys

from ttmarkers.errors import TtmError
from ttmarkers_plugins.lm_eval import register


def main() -> None:
    """Run the harness; an error of ours is one sentence."""
    try:
        register()
    except ModuleNotFoundError as error:
        sys.exit(f"ttm: {error.name} is not installed: pip install 'ttmarkers[lm-eval]'")
    from lm_eval.__main__ import cli_evaluate

    try:
        cli_evaluate()
    except TtmError as error:
        print(f"ttm: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
