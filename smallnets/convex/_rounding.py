"""What rounding leaves certain of dual vectors, outputs and their independence."""

from __future__ import annotations

import numpy as np

from .blocks import Blocks

# Equalities of a certificate, relative: rounding is below 1e-12 for the conditioning met here.
EQUAL = 1e-9
# A norm counts as below 1 only by more than rounding; published checks let ties at 1 pass.
STRICT = 1e-9
# And by more than this times what the planted blocks' equations are off: other solutions could hide behind less.
GUARD = 1e3


def settles(largest: float, off: float, independent: bool) -> bool:
    """Whether a dual vector proves that a plant is the only solution.

    Parameters
    ----------
    largest : the largest norm over the blocks that are not planted
    off : by how much the planted blocks' equations are missed; solutions cost at least 1 - off of the plant, and
        other blocks have no more than off / (1 - largest) of that
    independent : whether the planted units' outputs are linearly independent
    """
    return independent and off < EQUAL and largest < 1 - max(STRICT, GUARD * off)


def independent(outputs: np.ndarray, blocks: Blocks, tolerance: float) -> bool:
    """Whether the columns of outputs (n, k) of blocks are linearly independent, whatever units points are in."""
    if outputs.shape[1] == 1:
        return bool(outputs.any())
    lengths = blocks.points.lengths
    columns = outputs / np.where(lengths > 0, lengths, 1)[:, None]
    sizes = np.linalg.norm(columns, axis=0)
    if not sizes.all() or len(sizes) > blocks.n:
        return False
    values = np.linalg.svd(columns / sizes, compute_uv=False)
    return bool((values > tolerance * values.max(initial=0)).all())


def screened_norms(blocks: Blocks, dual: np.ndarray) -> np.ndarray:
    """||A_j^T l|| for every block, (p,), at most; for whitened blocks ||D_j l|| instead wherever that is below 1.

    U_j^T is an orthogonal projection, so that ||U_j^T l|| <= ||D_j l||: most patterns are settled without
    the factorisation of their block.
    """
    if blocks.prepared:
        return np.asarray(blocks.norms(dual) + blocks.rounded(dual))
    norms = np.sqrt(blocks.D.T @ dual**2)
    open_ = np.flatnonzero(norms >= 1 - STRICT)
    if len(open_):
        some = blocks.part(open_)
        norms[open_] = some.norms(dual) + some.rounded(dual)
    return norms


def largest_other(norms: np.ndarray, where: np.ndarray) -> float:
    """The largest norm over the blocks that are not among those at `where`."""
    others = norms.copy()
    others[where] = 0
    return float(others.max(initial=0))
