"""Record the output of every step of the model, for comparison with TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from jaxtyping import Float
from torch import Tensor, nn

from ptycho_torch.config_params import TrainingConfig
from ptycho_torch.model import PtychoPINN
from ptycho_torch.training.losses import objective


def taps(model: PtychoPINN, x: Float[Tensor, "B C N N"], positions: Float[Tensor, "B 1 2 C"]) -> dict[str, Tensor]:
    """Run the model once and return the output of every step, in the order of the computation.

    The steps are ``encoder_1`` … (each down block); ``amplitude_up_1`` …, ``amplitude_inner`` (after activation and
    padding), ``amplitude_border`` (after the mask; or ``amplitude_whole`` instead of both), ``amplitude`` (B, C, N, N),
    and the same for ``phase``; ``object_patches``, complex; ``merged``, the canvas; ``object``, trimmed; ``patches``,
    extracted; ``illuminated``; ``predicted_amplitude``, scaled; ``loss``, the objective with TensorFlow's default
    weights. The tensors belong to one graph: ``torch.autograd.grad(found["loss"], found["merged"])`` works.

    Args:
        model: model to run; it is not changed.
        x: (B, C, N, N), normalised amplitude.
        positions: (B, 1, 2, C), [x, y], pixels.

    Returns:
        Name -> output of the step, channels first.

    Raises:
        ValueError: an argument of the model's ``forward`` is invalid.
    """
    found: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name, module in tapped(model):
            hooks.callback(module.register_forward_hook(_keep(found, name)).remove)
        prediction = model(x, positions)
    found["predicted_amplitude"] = prediction.amplitude
    found["loss"] = objective(prediction.amplitude, x * model.intensity_scale, TrainingConfig())
    return found


def tapped(model: PtychoPINN) -> Iterator[tuple[str, nn.Module]]:
    """Yield name and module of every step that is a separate module."""
    for number, block in enumerate(model.encoder, start=1):
        yield f"encoder_{number}", block
    for part, decoder in (("amplitude", model.amplitude), ("phase", model.phase)):
        for number, block in enumerate(decoder.up, start=1):
            yield f"{part}_up_{number}", block
        for head in ("whole", "inner", "border"):
            if getattr(decoder, head) is not None:
                yield f"{part}_{head}", getattr(decoder, head)
        yield part, decoder
    yield "object_patches", model.combine
    yield "merged", model.place
    yield "object", model.trim
    yield "patches", model.extract
    yield "illuminated", model.illuminate


def _keep(found: dict[str, Tensor], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def hook(module: nn.Module, arguments: object, output: Tensor) -> None:
        found[name] = output

    return hook
