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
    diff3d: np.ndarray
    probeGuess: np.ndarray
    scan_index: np.ndarray
    objectGuess: np.ndarray | None

    @staticmethod
    def from_coords_without_pc(xcoords, ycoords, diff3d, probeGuess, scan_index, objectGuess=None):
        return RawData(xcoords, ycoords, diff3d, probeGuess, scan_index, objectGuess)

    def generate_grouped_data(self, N, K=4, nsamples=1, seed=None, sequential_sampling=False, gridsize=None):
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
        coords_nn = formulas.grouped_positions(self.xcoords, self.ycoords, nn_indices)
        offsets, relative = get_relative_coords(coords_nn)
        diffraction = formulas.gather(self.diff3d, nn_indices)
        dset = {
            "nn_indices": nn_indices,
            "coords_nn": coords_nn,
            "coords_offsets": offsets,
            "coords_relative": relative,
            "coords_start_nn": coords_nn,
            "coords_start_offsets": offsets,
            "coords_start_relative": relative,
            "diffraction": diffraction,
            "objectGuess": self.objectGuess,
            "Y": None,
        }
        if self.objectGuess is not None:
            dset["Y"] = get_image_patches(self.objectGuess, offsets, relative, N=N, gridsize=gridsize)
        return dset | {"X_full": normalize_data(dset, N)}
