"""Groups, relative coordinates, normalisation, ground truth. Draws go through NumPy's global generator."""

import dataclasses

import numpy as np

from golden.ptychopinn.grouping import formulas
from ptycho import params


def get_relative_coords(coords_nn):
    assert coords_nn.ndim == 4
    offsets = np.mean(coords_nn, axis=3, keepdims=True)
    return offsets, -(coords_nn - offsets)


def get_image_patches(gt_image, global_offsets, local_offsets, N=None, gridsize=None):
    assert (N, gridsize) == (params.get("N"), params.get("gridsize"))
    assert local_offsets.shape[3] == gridsize**2
    return formulas.patches_at(gt_image, global_offsets + local_offsets, N)


def normalize_data(dset, N):
    assert params.get("N") == N
    return formulas.normalised(dset["diffraction"])


@dataclasses.dataclass
class RawData:
    xcoords: np.ndarray
    ycoords: np.ndarray
    xcoords_start: np.ndarray
    ycoords_start: np.ndarray
    diff3d: np.ndarray
    probeGuess: np.ndarray
    scan_index: np.ndarray
    objectGuess: np.ndarray | None = None

    @staticmethod
    def from_file(train_data_file_path):
        with np.load(train_data_file_path) as scan:
            x, y = scan["xcoords"], scan["ycoords"]
            starts = (scan.get("xcoords_start", x), scan.get("ycoords_start", y))
            return RawData(x, y, *starts, scan["diff3d"], scan["probeGuess"], np.zeros(len(x), int))

    def generate_grouped_data(self, N, K=4, nsamples=1, seed=None, sequential_sampling=False, gridsize=None):
        print("grouping", N)
        if seed is not None or sequential_sampling:
            np.random.seed(0 if sequential_sampling else seed)
        nn_indices = formulas.sample(
            xcoords=self.xcoords,
            ycoords=self.ycoords,
            gridsize=gridsize,
            K=K,
            nsamples=nsamples,
            seed=seed,
            sequential_sampling=sequential_sampling,
            rules=formulas.Rules(generator=lambda seed, sequential_sampling: np.random),
        )["nn_indices"]
        dset = {"nn_indices": nn_indices, "diffraction": formulas.gather(self.diff3d, nn_indices), "Y": None}
        for name, x, y in (
            ("coords", self.xcoords, self.ycoords),
            ("coords_start", self.xcoords_start, self.ycoords_start),
        ):
            positions = formulas.grouped_positions(x, y, nn_indices)
            offsets, relative = get_relative_coords(positions)
            dset |= {f"{name}_nn": positions, f"{name}_offsets": offsets, f"{name}_relative": relative}
        if self.objectGuess is not None:
            places = (dset["coords_offsets"], dset["coords_relative"])
            dset["Y"] = get_image_patches(self.objectGuess, *places, N=N, gridsize=gridsize)
        return dset | {"objectGuess": self.objectGuess, "X_full": normalize_data(dset, N)}
