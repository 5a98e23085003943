"""The long run trains on 1000 patterns for twenty epochs, at the default width, and reconstructs 512.

It trains three times, for ten minutes or more each. Its golden has a separate directory, and one command generates it:

    make long

After every epoch, the training is saved in ``.artifacts/runs``, and the same command continues from there. The noise is
measured from two runs with inputs moved by their last digit. Only faults of the steps after the training are tried.
"""

from __future__ import annotations

from dataclasses import replace

from golden.ptychopinn.run import faults, mosaics
from golden.ptychopinn.run.cases import (
    INPUTS,
    ONE_NUMBER,
    PARAMETERS,
    PATTERN,
    RECONSTRUCTION_OUTPUTS,
    SHORT,
    TRAINING_OUTPUTS,
    make_inputs,
    seed_zero,
)
from golden.spec.case import Case
from golden.spec.operation import Operation, Output
from golden.spec.parameters import Parameters

_FROM_AFAR = (
    "in the mosaic; (S, S, 1) complex64, 0 where not covered; kept: means of the modulus over bands of 16 pixels"
)

_LEFT = "in the excess of the last loss"
_LOGARITHM = "logarithm of its distance from that of a perfect prediction"
PATCHES, *STITCHED = RECONSTRUCTION_OUTPUTS

RUN = Operation(
    name="run.long_reconstruction",
    summary="a network trained on a scan, the mosaic that it makes of other patterns, and how well it shows the object",
    inputs=INPUTS,
    outputs=(
        # Two steps later, rounding has changed a loss by a thousandth; the first steps of the short run are steadier.
        *(output for output in TRAINING_OUTPUTS if output.name != "first_losses"),
        Output(
            "weight_changes",
            "in the weights after three steps; (44,) float32; root mean square change of each array of weights, in "
            "units of the learning rate",
            "array",
            "1",
            terms=PATTERN,
            envelope=True,
        ),
        Output("training_excess", f"{_LEFT} of training; scalar float32; {_LOGARITHM}", unit="1", envelope=True),
        Output("validation_excess", f"{_LEFT} of validation; scalar float32; {_LOGARITHM}", unit="1", envelope=True),
        PATCHES,
        Output(
            "patch_orientation",
            "in how single patches fit the object; (8,) float32; as the orientation, of central 21 x 21 pixels",
            "orientation",
            "1",
            envelope=True,
        ),
        *(
            replace(one, description=_FROM_AFAR, axes="direction band", keep=mosaics.band_means)
            if one.name == "mosaic"
            else one
            for one in STITCHED
        ),
        Output("correlation", "in the complex correlation with the object; scalar float32", unit="1", envelope=True),
        Output(
            "amplitude_error", "in the error of the amplitude; scalar float32; rms, relative", unit="1", envelope=True
        ),
        Output("phase_error", "in the error of the phase; scalar float32; rms", unit="rad", envelope=True),
    ),
    parameters=PARAMETERS,
    derive=make_inputs,
    faults=(*faults.RECONSTRUCTION, *faults.LEARNT),
    in_order=True,
    only_perturbed=2,
)

SCALARS = (
    *("first_loss", "training_excess", "validation_excess"),
    *("correlation", "amplitude_error", "phase_error"),
)
WHOLE: Parameters = {**SHORT, "scan": 1087, "images": 1000, "infer": 512, "epochs": 20, "n_filters_scale": 2}

CASES = (
    Case(
        "run/long",
        RUN,
        "training on 1000 patterns for twenty epochs, mosaic of 512 patterns",
        WHOLE,
        seed_zero,
        dict.fromkeys((*ONE_NUMBER, *SCALARS), "the output is a single number"),
    ),
)
