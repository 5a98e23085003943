"""These formulas move crops to their positions, sum them, and divide by the overlap count."""

from __future__ import annotations

import numpy as np

# ------------------------------------------------------------------------------------------------ operations


def position(*, patches: np.ndarray, offsets: np.ndarray, M: int) -> dict[str, np.ndarray]:
    return stitched(patches, moves(offsets), M)


def scan_mosaic(
    *, object: np.ndarray, positions: np.ndarray, patches: np.ndarray, N: int, M: int
) -> dict[str, np.ndarray]:
    outputs = stitched(patches, moves(positions), M)
    del outputs["shift_and_sum"]
    return outputs


# ------------------------------------------------------------------------------------------------ parts


def moves(offsets: np.ndarray) -> np.ndarray:
    """Return each patch's displacement from the centre of the canvas, (n, 2), from offsets (n, 1, 2, 1); pixels."""
    flat = offsets.reshape(-1, 2)
    return np.asarray(flat - flat.mean(axis=0))


def reach(moves: np.ndarray) -> int:
    """Return the padding of a crop to the canvas on every side, pixels; it is even."""
    pad = int(np.ceil(np.abs(moves).max()))
    return pad + pad % 2


def centres(patches: np.ndarray, M: int) -> np.ndarray:
    """Cut the central crops (n, M, M) of patches (n, N, N, 1)."""
    first = patches.shape[1] // 2 - M // 2
    return patches[:, first : first + M, first : first + M, 0]


def shift_and_sum(crops: np.ndarray, moves: np.ndarray, pad: int) -> np.ndarray:
    """Move crops (n, M, M) by moves (n, 2), and sum them on a canvas (S, S), S = M + 2 pad."""
    M = crops.shape[1]
    side = M + 2 * pad
    canvas = np.zeros((side + 2, side + 2), crops.dtype)
    corner = moves[:, ::-1] + pad
    whole = np.floor(corner).astype(int)
    for crop, (row, column), (fy, fx) in zip(crops, whole, corner - whole):
        for down, wy in ((0, 1 - fy), (1, fy)):
            for right, wx in ((0, 1 - fx), (1, fx)):
                r, c = row + down, column + right
                canvas[r : r + M, c : c + M] += wy * wx * crop
    return canvas[:side, :side]


def stitched(
    patches: np.ndarray,
    moves: np.ndarray,
    M: int,
    *,
    count_moves: np.ndarray | None = None,
    pad: int | None = None,
) -> dict[str, np.ndarray]:
    """Make the mosaic of patches.

    Args:
        patches: (n, N, N, 1), of which the central M x M pixels are used.
        moves: (n, 2), [x, y]; displacement of each patch from the centre of the canvas, pixels.
        M: side of a crop, pixels.
        count_moves: displacements for the count; None for those of the patches.
        pad: padding of a crop to the canvas; None for ``reach`` of the moves.

    Returns:
        The outputs of ``reassembly.position``.
    """
    pad = reach(moves) if pad is None else pad
    crops = centres(patches, M)
    total = shift_and_sum(crops, moves, pad)
    count = shift_and_sum(np.ones(crops.shape, np.float32), moves if count_moves is None else count_moves, pad)
    return divided(total, count)


def divided(total: np.ndarray, count: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs that follow from a sum and a count, both (S, S)."""
    # A fault may make a canvas huge and nearly empty; untouched parts take no memory.
    mosaic = np.divide(total, count + np.float32(1e-9), out=np.zeros(total.shape, np.complex64), where=total != 0)
    return {
        "shift_and_sum": total[..., None],
        "count": count[..., None],
        "mosaic": mosaic[..., None],
        "canvas_side": np.array(len(total), np.int64),
    }
