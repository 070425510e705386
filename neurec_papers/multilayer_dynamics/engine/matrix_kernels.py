"""Steps of the rules of `_fused` for two layers, compiled; a network at a time, all of it in cache.

How often two neurons are active together is counted by bits: 64 inputs of a batch are a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smallnets.descent.compiled import njit

Arrays = tuple[np.ndarray, ...]
CODES = {"matrix": 0, "exact": 1, "gradient": 2}


@njit(error_model="numpy", fastmath={"contract"})
def advance(teacher: Arrays, student: Arrays, X: np.ndarray, rate: float, code: int, biases: bool) -> None:
    """Change the student, (B, d + 1, n) and (B, n + 1, o) arrays, by a step on each batch of X (B, T, N, d).

    The code is one of `CODES`; the rate is for sums over a batch, and of the same type as all arrays.
    """
    (hidden, outer), (start, top) = teacher, student
    B, T, N, d = X.shape
    n, m, o = start.shape[2], hidden.shape[2], top.shape[2]
    kind, none = start.dtype, rate - rate  # 0 of the same type
    x, S, S_star = np.empty((N, d + 1), kind), np.empty((N, n), kind), np.empty((N, m), kind)
    R, R_star, means, gap = np.empty((N, o), kind), np.empty((N, o), kind), np.empty(o, kind), np.empty(o, kind)
    pull, below, g = np.empty((n, o), kind), np.empty((d + 1, n), kind), np.empty((N, n), kind)
    size, room = np.empty(max(n, o), kind), _room(N, d, n, m, kind)
    for i in range(N):
        x[i, d] = 1
    for b in range(B):
        # Copies: where they begin does not depend on the network's place.
        W, V, W_star, V_star = start[b].copy(), top[b, :n].copy(), hidden[b].copy(), outer[b, :m].copy()
        bias = top[b, n].copy()
        for t in range(T):
            _put(x, X[b, t])
            np.dot(x, W, S)
            np.dot(x, W_star, S_star)
            _rectify(S, none)
            _rectify(S_star, none)
            np.dot(S, V, R)
            np.dot(S_star, V_star, R_star)
            for k in range(o):
                gap[k] = bias[k] - outer[b, m, k]
                means[k] = 0
            _subtract(R, R_star)
            if code == 1:
                np.dot(R, V.T, g)
            for i in range(N):
                for k in range(o):
                    R[i, k] += gap[k]
                    means[k] += R[i, k]
            if code == 0:
                _products(x, (S, W, V), (S_star, W_star, V_star), below, room)
            else:
                if code == 2:
                    np.dot(R, V.T, g)
                for i in range(N):
                    for j in range(n):
                        g[i, j] = g[i, j] if S[i, j] > 0 else none
                np.dot(x.T, g, below)
            np.dot(S.T, R, pull)
            if not biases:
                below[d] = 0
                means[:] = 0
            _step(W, below, bias[:0], means, rate, size)
            _step(V, pull, bias, means, rate, size)
        _put(start[b], W)
        _put(top[b], V)
        for k in range(o):
            top[b, n, k] = bias[k]


@njit()
def _room(N: int, d: int, n: int, m: int, kind: np.dtype[Any]) -> Arrays:
    """Arrays for the products; the last entry is the share of a batch of each number of inputs."""
    words = (N + 63) // 64
    H, H_star, L = np.empty((n, n), kind), np.empty((n, m), kind), np.empty((d + 1, d + 1), kind)
    Q, Q_star, rest = np.empty((d + 1, n), kind), np.empty((d + 1, m), kind), np.empty((d + 1, n), kind)
    bits, bits_star, share = np.empty((words, n), np.uint64), np.empty((words, m), np.uint64), np.empty(N + 1, kind)
    for count in range(N + 1):
        share[count] = count / N
    return H, H_star, L, Q, Q_star, rest, bits, bits_star, share


@njit()
def _products(x: np.ndarray, student: Arrays, teacher: Arrays, below: np.ndarray, room: Arrays) -> None:
    """Put the matrix rule's pull on the hidden layer into `below`: L W H^T - L W* H*^T.

    Student and teacher are states S (N, n) and both layers' weights W (d + 1, n) and V (n, o).
    """
    (S, W, V), (S_star, W_star, V_star) = student, teacher
    H, H_star, L, Q, Q_star, rest, bits, bits_star, share = room
    np.dot(x.T, x, L)
    np.dot(V, V.T, H)
    np.dot(V, V_star.T, H_star)
    _pack(S, bits)
    _pack(S_star, bits_star)
    _meet(H, bits, bits, share)
    _meet(H_star, bits, bits_star, share)
    np.dot(L, W, Q)
    np.dot(L, W_star, Q_star)
    np.dot(Q, H.T, below)
    np.dot(Q_star, H_star.T, rest)
    _subtract(below, rest)


@njit()
def _put(target: np.ndarray, source: np.ndarray) -> None:
    """Copy into the first rows and columns; an assignment of slices would cost 10 s of the compiler's time."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@njit(error_model="numpy", fastmath={"contract"})
def _rectify(S: np.ndarray, none: np.floating[Any]) -> None:
    """Max with 0; what is no number stays so."""
    for i in range(S.shape[0]):
        for j in range(S.shape[1]):
            S[i, j] = none if S[i, j] < none else S[i, j]


@njit(error_model="numpy", fastmath={"contract"})
def _subtract(A: np.ndarray, B: np.ndarray) -> None:
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            A[i, j] -= B[i, j]


@njit(error_model="numpy", fastmath={"contract"})
def _step(W: np.ndarray, pull: np.ndarray, bias: np.ndarray, means: np.ndarray, rate: float, size: np.ndarray) -> None:
    """Subtract, and bring columns to norm 1; a bias that stands apart is the last row."""
    rows, n = W.shape
    size[:n] = 0
    for i in range(rows):
        for j in range(n):
            W[i, j] -= rate * pull[i, j]
            size[j] += W[i, j] * W[i, j]
    for j in range(len(bias)):
        bias[j] -= rate * means[j]
        size[j] += bias[j] * bias[j]
    for j in range(n):
        size[j] = np.sqrt(size[j])
    for i in range(rows):
        for j in range(n):
            W[i, j] /= size[j]
    for j in range(len(bias)):
        bias[j] /= size[j]


@njit(error_model="numpy")
def _pack(S: np.ndarray, bits: np.ndarray) -> None:
    """Bit i of word w of a neuron: whether it is active on input 64 w + i."""
    bits[:] = 0
    for i in range(S.shape[0]):
        row, bit = bits[i // 64], np.uint64(1) << np.uint64(i % 64)
        for j in range(S.shape[1]):
            row[j] |= bit if S[i, j] > 0 else np.uint64(0)


@njit(error_model="numpy")
def _meet(H: np.ndarray, left: np.ndarray, right: np.ndarray, share: np.ndarray) -> None:
    """Multiply by the share of inputs on which both neurons are active: `share` of the number that comes first."""
    counts = np.empty(H.shape[1], np.int64)
    for j in range(H.shape[0]):
        counts[:] = 0
        for w in range(left.shape[0]):
            own, others = left[w, j], right[w]
            for k in range(H.shape[1]):
                counts[k] += _ones(own & others[k])
        for k in range(H.shape[1]):
            H[j, k] *= share[counts[k]]


@njit()
def _ones(v: np.uint64) -> np.int64:
    """How many bits are set: those of pairs, of fours, of bytes, then of all bytes."""
    v = v - ((v >> np.uint64(1)) & np.uint64(0x5555555555555555))
    v = (v & np.uint64(0x3333333333333333)) + ((v >> np.uint64(2)) & np.uint64(0x3333333333333333))
    v = (v + (v >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((v * np.uint64(0x0101010101010101)) >> np.uint64(56))
