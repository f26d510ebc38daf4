"""``ttm`` with FSDP on processes without an accelerator, which accelerate itself offers for accelerators only.

Torch shards weights among CPU processes as well; accelerate only looks whether the machine has a device for it. This
script overrules that look, so that a test sees the real thing: sharded weights, gathered when they are saved.
"""

from __future__ import annotations

import sys
from typing import Any

import accelerate.state
from torch.distributed.tensor import DTensor

from ttmarkers.cli import main
from ttmarkers_plugins.strategies import trainer

_made = accelerate.state.AcceleratorState.__init__
_loss = trainer.MarkerTrainer.compute_loss


def _init(self: Any, *arguments: Any, **options: Any) -> None:
    _made(self, *arguments, **options)
    if options.get("fsdp_plugin") is not None:
        self.distributed_type = accelerate.state.DistributedType.FSDP
        self.fsdp_plugin = options["fsdp_plugin"]
        accelerate.state.PartialState._shared_state["distributed_type"] = self.distributed_type


def _checked(self: Any, model: Any, *arguments: Any, **options: Any) -> Any:
    if not any(isinstance(weight, DTensor) for weight in model.parameters()):
        raise TypeError("the weights are not sharded")
    return _loss(self, model, *arguments, **options)


accelerate.state.AcceleratorState.__init__ = _init  # type: ignore[method-assign]
trainer.MarkerTrainer.compute_loss = _checked  # type: ignore[method-assign]
main(sys.argv[1:])
