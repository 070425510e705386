"""Published training loops, one plain NumPy line a formula: what the fast methods are tested against."""

import numpy as np


def full_batch(X, y, nu, start, h, steps, threshold=-np.inf):
    """Full-batch gradient descent of one net, every neuron looked at in every step.

    Returns the weights, the loss at steps 0, ..., steps, the first step with a pattern unlike the initial one, the
    first with the loss below the threshold (-1: none), and how often each neuron's pattern changed.
    """
    a, b, w, c = (np.array(part, float) for part in start)
    first = before = X @ a.T + b > 0
    losses, changed, below, changes = [], -1, -1, np.zeros(len(a), int)
    for k in range(steps + 1):
        z = X @ a.T + b
        active = z > 0
        changes += (active != before).any(axis=0)
        before = active
        if changed < 0 and (active != first).any():
            changed = k
        r = c + np.maximum(z, 0) @ w - y
        losses.append(0.5 * np.sum(nu * r**2))
        if below < 0 and losses[-1] < threshold:
            below = k
        if k == steps:
            break
        e = nu * r
        G = e[:, None] * active
        a, b, w, c = (
            a - h * w[:, None] * (G.T @ X),
            b - h * w * G.sum(0),
            w - h * np.maximum(z, 0).T @ e,
            c - h * e.sum(),
        )
    return (a, b, w, c), np.array(losses), changed, below, changes


def relu_descent(X, y, W, a, step, steps):
    """Gradient descent of h(x) = sum_j a_j max(0, <w_j, x>) on the mean squared error, as published: all weights.

    Returns W and a at iterations 0, ..., steps, the losses there, and iteration, neuron and point of each crossing.
    """
    W, a = np.array(W, float), np.array(a, float)
    Ws, As, losses, crossings, before = [], [], [], [], W @ X.T > 0
    for k in range(steps + 1):
        H = W @ X.T
        on = H > 0
        crossings += [(k, *where) for where in np.argwhere(on != before)]
        before = on
        r = y - a @ np.maximum(H, 0)
        Ws.append(W), As.append(a), losses.append(np.mean(r**2))
        G = 2 * step / len(y) * (on * r)
        W, a = W + a[:, None] * (G @ X), a + (G * H).sum(axis=1)
    return np.array(Ws), np.array(As), np.array(losses), np.reshape(crossings, (-1, 3))


def backward(X, layers, r, activation):
    """Outputs, what the hidden layers put out, and the gradient of sum_j r_j f(x_j): weights and biases by layer.

    ``layers`` are pairs of weights (inputs, outputs) and biases; r may be a function of the outputs.
    """
    inside = [X]
    for W, b in layers[:-1]:
        z = inside[-1] @ W + b
        inside.append(np.tanh(z) if activation == "tanh" else np.maximum(z, 0))
    f = (inside[-1] @ layers[-1][0] + layers[-1][1])[:, 0]
    back, gradient = np.reshape(r(f) if callable(r) else r, (-1, 1)), []
    for (W, _), h in zip(reversed(layers), reversed(inside), strict=True):
        gradient.append((h.T @ back, back.sum(0)))
        slope = 1 - h**2 if activation == "tanh" else h > 0
        back = (back @ W.T) * slope
    return f, inside[1:], gradient[::-1]


def layered(X, y, nu, layers, activation, h, steps, threshold):
    """Gradient descent of a network of any depth; its layers, the losses and the two events as of `full_batch`."""
    losses, changed, below, first = [], -1, -1, None
    for k in range(steps + 1):
        f, hidden, gradient = backward(X, layers, lambda f: nu * (f - y), activation)
        active = np.concatenate([part > 0 for part in hidden], axis=1)
        first = active if first is None else first
        losses.append(0.5 * np.sum(nu * (f - y) ** 2))
        changed = k if changed < 0 and (active != first).any() else changed
        below = k if below < 0 and losses[-1] < threshold else below
        if k == steps or (changed >= 0 and below >= 0):
            break
        layers = [(W - h * dW, b - h * db) for (W, b), (dW, db) in zip(layers, gradient, strict=True)]
    return layers, np.array(losses), changed, below
