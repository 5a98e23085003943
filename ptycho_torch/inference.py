"""Reconstruct an object from a scan with a trained model, and check the result.

    python -m ptycho_torch.inference --model_path out --test_data scan.npz --output_dir result

See docs/how-to.md, "Train and infer".
"""

from __future__ import annotations

from ptycho_torch.interrupts import Interrupts, guard_loading, run

if __name__ == "__main__":
    guard_loading()  # the imports below take seconds

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import torch

from ptycho_torch.operators.torch_defaults import torch_defaults
from ptycho_torch.program import (
    ACCELERATORS,
    CONTEXT,
    DIRECTORY,
    DRAWING,
    FILE,
    PRECISION_HELP,
    PRECISIONS,
    appearing_together,
    bad_pixels_option,
    checking_input,
    ending,
    load,
    log,
    log_bad_pixels,
    logging_to,
    measurement_option,
    owning,
    patterns_used,
    require_places,
    running,
    stamp,
    warn_of_cost,
    warnings_in_the_log,
)

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from ptycho_torch.checks.diagnostics import Diagnosis, Evidence
    from ptycho_torch.dataloader import GroupBatch, MemoryMappedDataset
    from ptycho_torch.files.bundle import Bundle
    from ptycho_torch.reconstruction import Prediction
    from ptycho_torch.scans.ptychodus import Geometry
    from ptycho_torch.scans.scan import Scan

AMPLITUDE, PHASE, COMPARISON = "reconstructed_amplitude.png", "reconstructed_phase.png", "comparison.png"
RESULT, LOG = "reconstruction.npz", "inference.log"
DIAGNOSTICS = "diagnostics"
RESULTS = (AMPLITUDE, PHASE, COMPARISON, RESULT, *(f"{DIAGNOSTICS}.{kind}" for kind in ("txt", "json", "png")))
"""Files that are moved to their places together."""
GROUP_SEED = 45
"""TensorFlow PtychoPINN seeds its generator with this number after it has drawn the patterns. The seed affects only
groups of several members."""


@click.command(context_settings=CONTEXT)
@click.option(
    "--model_path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Output directory of the training.",
)
@click.option("--test_data", type=FILE, required=True, metavar="FILE", help="Scan to reconstruct.")
@bad_pixels_option
@measurement_option
@click.option(
    "--output_dir",
    type=DIRECTORY,
    required=True,
    metavar="DIR",
    help="Directory for all results; it is created if missing.",
)
@click.option(
    "--n_images",
    type=click.IntRange(1),
    metavar="N",
    default=512,
    help="Number of patterns to draw from the scan, and of groups to form.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", default=0, help="Seed for drawing the patterns."
)
@click.option(
    "--batch_size", type=click.IntRange(1), metavar="N", default=32, help="Number of groups predicted at a time."
)
@click.option("--accelerator", type=click.Choice(ACCELERATORS), default="auto", help="Hardware to compute on.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="32-true", help=PRECISION_HELP)
@click.option(
    "--phase_vmin",
    type=float,
    metavar="X",
    help="Phase at the low end of the colour scale, radians.  [default: the minimum]",
)
@click.option(
    "--phase_vmax",
    type=float,
    metavar="X",
    help="Phase at the high end of the colour scale, radians.  [default: the maximum]",
)
@click.option("--product", type=FILE, metavar="H5", help="Also write the result as a Ptychodus product.")
@click.option(
    "--pixel_size",
    type=float,
    metavar="METRES",
    help="Side of an object pixel, for --product.  [default: as in the scan file]",
)
@click.option("--save_patches", is_flag=True, help="Also write the patches.")
def main(**options: Any) -> None:
    """Reconstruct an object from a scan with a trained model, and check the result.

    \b
    Files in --output_dir:
      reconstructed_amplitude.png, reconstructed_phase.png
      comparison.png                the mosaic beside the object, if the scan has an objectGuess
      reconstruction.npz            the mosaic, the count of patches on each pixel, their positions
      diagnostics.txt, .json, .png  the checks, and the likely mistake if something is wrong
      inference.log                 all messages

    With --product, the result is also written for Ptychodus: object and positions in metres, and the probe.

    The exit status says whether the program ran. The last line of diagnostics.txt says whether the result is right.
    """  # noqa: D301 - \b tells click not to rewrap the paragraph
    directory: Path = options["output_dir"]
    with checking_input():
        _require_colours(options["phase_vmin"], options["phase_vmax"])
        _require_product(options["product"], options["pixel_size"])
        load(
            "ptycho_torch.files.bundle",
            "ptycho_torch.files.product",
            "ptycho_torch.checks.diagnostics",
            "ptycho_torch.reconstruction",
            *DRAWING,
        )
    with owning(directory), logging_to(directory / LOG):
        before, product = stamp(directory / RESULT), options["product"]
        product_before = None if product is None else stamp(product)

        def kept() -> str:
            if stamp(directory / RESULT) == before:
                return f"nothing was written but {LOG}"
            late = product is not None and stamp(product) == product_before
            return f"all results are written except {product}" if late else "all results are written"

        with ending(kept) as interrupts:
            _infer(directory, options, interrupts)


def _require_colours(least: float | None, largest: float | None) -> None:
    """Refuse an impossible range of phases before any work is done. Without a limit, -pi or pi is assumed."""
    first, last = -math.pi if least is None else least, math.pi if largest is None else largest
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise ValueError(
            f"--phase_vmin, --phase_vmax: expected phases in radians, the first below the second, found {first:.6g} "
            f"and {last:.6g}"
        )


@torch_defaults()
def _infer(directory: Path, options: dict[str, Any], interrupts: Interrupts) -> None:
    from ptycho_torch.files.bundle import load_bundle
    from ptycho_torch.reconstruction import gather_evidence, predict, stitch
    from ptycho_torch.scans.scan import load_scan

    with checking_input(), warnings_in_the_log():
        require_places(directory, RESULTS)
        device, precision = _device(options["accelerator"]), options["precision"]
        warn_of_cost(precision, device)
        bundle = load_bundle(options["model_path"])
        scan = load_scan(options["test_data"], invalid_is_bad=options["bad_pixels"], measurement=options["measurement"])
        geometry = _geometry(scan, options)
        dataset = _dataset(scan, bundle, options)

    def track(found: DataLoader[GroupBatch]) -> Iterator[GroupBatch]:
        for batch in _with_a_bar(found):
            interrupts.check()
            yield batch

    begun = time.perf_counter()
    with running("inference", directory / LOG):
        prediction = predict(
            bundle.model,
            dataset,
            batch_size=options["batch_size"],
            device=device,
            precision=precision,
            track=track,
        )
        mosaic = stitch(prediction.patches, prediction.offsets)
        log.info("reconstructed in %.1f s on %s, %s", time.perf_counter() - begun, device, precision)
        evidence = gather_evidence(scan, bundle, prediction, mosaic)
        interrupts.check()
        with appearing_together(directory, RESULTS, interrupts) as stage:
            diagnosis = _write(stage, evidence, prediction, options)
        if geometry is not None:
            _write_product(options["product"], scan, geometry, bundle, evidence, prediction, dataset.factor)
    for line in diagnosis.to_text().splitlines():
        log.info("%s", line)
    log.info("%s", directory / AMPLITUDE)


def _require_product(product: Path | None, pixel_size: float | None) -> None:
    """Refuse a product that cannot be written before any work is done."""
    from ptycho_torch.files.product import SUFFIXES, is_product

    if product is None and pixel_size is not None:
        raise ValueError("--pixel_size: expected --product too, found none")
    if product is not None and product.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--product {product}: expected a name that ends in one of {', '.join(SUFFIXES)}")
    if product is not None and not product.parent.is_dir():
        raise ValueError(f"--product {product}: expected a directory {product.parent}, found none; create it")
    if product is not None and product.exists() and not is_product(product):
        raise ValueError(f"--product {product}: expected a product or no file, found another file; choose another name")


def _geometry(scan: Scan, options: dict[str, Any]) -> Geometry | None:
    """Return pixel size, distance and energy for the product; None if no product is requested."""
    from ptycho_torch.scans.ptychodus import Geometry

    size = options["pixel_size"]
    if options["product"] is None:
        return None
    if size is None and scan.geometry is None:
        raise ValueError(
            f"--product: expected the size of an object pixel, found none in {scan.source}; give --pixel_size, in "
            f"metres. Only Ptychodus's HDF5 files hold it"
        )
    if size is None:
        return scan.geometry
    return dataclasses.replace(scan.geometry or Geometry(size, size), pixel_width=size, pixel_height=size)


def _dataset(scan: Scan, bundle: Bundle, options: dict[str, Any]) -> MemoryMappedDataset:
    from ptycho_torch.dataloader import MemoryMappedDataset

    N = scan.diffraction.shape[1]
    if bundle.data.N != N:
        raise ValueError(f"{scan.source}: expected patterns of side {bundle.data.N}, as in training, found {N}")
    wanted = options["n_images"]
    config = dataclasses.replace(
        bundle.data, n_groups=wanted, n_images=None, n_subsample=wanted, subsample_seed=options["seed"]
    )
    dataset = MemoryMappedDataset.from_config(scan, config, seed=GROUP_SEED)
    _require_canvas(scan, dataset.global_offsets)
    log.info("%s", scan)
    log_bad_pixels(scan.bad_pixels)
    patterns_used(min(wanted, len(scan)), len(scan), len(dataset), bundle.data.C)
    return dataset


def _require_canvas(scan: Scan, offsets: torch.Tensor) -> None:
    """Refuse positions (n, 1, 2, 1) that span more than the largest mosaic, before the network runs."""
    from ptycho_torch.operators.reassembly import LARGEST_SIDE

    reach = float((offsets - offsets.mean(dim=0)).abs().max())
    if 2 * reach > LARGEST_SIDE:
        raise ValueError(
            f"{scan.source}: expected positions within {LARGEST_SIDE // 2} object pixels of their mean, because a "
            f"mosaic has at most {LARGEST_SIDE} pixels per side, found {reach:.3g}. "
            f"Divide them by the size of an object pixel"
        )


def _device(accelerator: str) -> torch.device:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    found = [name for name, available in there.items() if available and accelerator in {"auto", name}]
    if not found:
        raise ValueError(f"--accelerator {accelerator}: found no such device; use auto or cpu")
    return torch.device(found[0])


def _with_a_bar(found: DataLoader[GroupBatch]) -> Iterator[GroupBatch]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        found, "predicting", total=len(found), console=console, transient=True, disable=not console.is_terminal
    )


def _write(directory: Path, evidence: Evidence, prediction: Prediction, options: dict[str, Any]) -> Diagnosis:
    from ptycho_torch.checks.diagnostics import diagnose
    from ptycho_torch.pictures.diagnosis import draw_diagnosis
    from ptycho_torch.pictures.result import draw_amplitude, draw_comparison, draw_phase

    arrays = {
        "mosaic": evidence.mosaic,
        "count": evidence.count,
        "positions": evidence.offsets,
        "nn_indices": prediction.nn_indices.numpy(),
        **({"patches": evidence.patches} if options["save_patches"] else {}),
    }
    np.savez(directory / RESULT, **arrays)  # type: ignore[arg-type]
    draw_amplitude(evidence.mosaic, directory / AMPLITUDE)
    draw_phase(evidence.mosaic, directory / PHASE, options["phase_vmin"], options["phase_vmax"])
    diagnosis = diagnose(evidence)
    (directory / f"{DIAGNOSTICS}.txt").write_text(diagnosis.to_text() + "\n", encoding="utf-8")
    document = json.dumps(diagnosis.to_json(), indent=1, allow_nan=False)
    (directory / f"{DIAGNOSTICS}.json").write_text(document, encoding="utf-8")
    draw_diagnosis(evidence, diagnosis, directory / f"{DIAGNOSTICS}.png")
    if diagnosis.aligned is not None and diagnosis.quality is not None:
        known, scale = diagnosis.aligned, diagnosis.quality.scale
        draw_comparison(evidence.mosaic * scale, known, evidence.mask & (np.abs(known) > 0), directory / COMPARISON)
    return diagnosis


def _write_product(
    path: Path,
    scan: Scan,
    geometry: Geometry,
    bundle: Bundle,
    evidence: Evidence,
    prediction: Prediction,
    factor: np.float32,
) -> None:
    from ptycho_torch.files.product import make_product, save_product

    indices = prediction.nn_indices.numpy()
    probe = evidence.probe / factor  # the network sees measured amplitudes times this factor
    parts = evidence.mosaic, evidence.count, evidence.offsets, indices
    save_product(path, make_product(scan, geometry, probe, *parts, bundle.losses))
    log.info("%s", path)


if __name__ == "__main__":
    run(main)
