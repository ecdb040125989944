"""JAX's side of the benchmarks: for each request, a line of JSON on stdin, one reply on stdout. MNIST is in the folder UNROLL_MNIST.

It may use the cores that the process may run on.
"""

import functools
import gzip
import itertools
import json
import os
import time

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from serve import serve

GATES = {"elman": 1, "lstm": 4, "gru": 3}


def mnist():
    """Pictures [28,N,28] to train on, as bytes, step by step, and labels [N]; the first 5,000 are held back."""

    def read(name, offset):
        path = os.path.join(os.environ["UNROLL_MNIST"], name)
        opened = gzip.open(path + ".gz") if os.path.exists(path + ".gz") else open(path, "rb")
        with opened as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    pictures = read("train-images-idx3-ubyte", 16).reshape(-1, 28, 28)[5000:]
    labels = read("train-labels-idx1-ubyte", 8)[5000:]
    return jnp.asarray(pictures.transpose(1, 0, 2)), jnp.asarray(labels, jnp.int32)


def initial(cell, hidden):
    """Weights of the layer and its head, between -1 and 1 over the root of hidden, as PyTorch draws them."""
    random, columns = np.random.default_rng(1), GATES[cell] * hidden
    shapes = {"w": (28, columns), "u": (hidden, columns), "b": (columns,), "head": (hidden, 10), "head_b": (10,)}
    if cell == "gru":
        shapes["b_n"] = (hidden,)
    limit = hidden**-0.5
    return {k: jnp.asarray(random.uniform(-limit, limit, s), jnp.float32) for k, s in shapes.items()}


def elman(p, h, x):
    return jnp.tanh(x + h @ p["u"])


def lstm(p, state, x):
    h, c = state
    i, f, g, o = jnp.split(x + h @ p["u"], 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(p, h, x):
    xr, xz, xn = jnp.split(x, 3, axis=1)
    hr, hz, hn = jnp.split(h @ p["u"], 3, axis=1)
    r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
    n = jnp.tanh(xn + r * (hn + p["b_n"]))
    return n + z * (h - n)


STEPS = {"elman": elman, "lstm": lstm, "gru": gru}


def mean_loss(cell, p, pictures, labels):
    """The cross-entropy of logits from the last state. The product with the input is one for all steps."""
    x = pictures.astype(jnp.float32) / 255 @ p["w"] + p["b"]
    zeros = jnp.zeros((pictures.shape[1], p["u"].shape[0]))
    start = (zeros, zeros) if cell == "lstm" else zeros
    state, _ = lax.scan(lambda s, x: (STEPS[cell](p, s, x), None), start, x)
    h = state[0] if cell == "lstm" else state
    logits = jax.nn.log_softmax(h @ p["head"] + p["head_b"])
    return -jnp.take_along_axis(logits, labels[:, None], axis=1).mean()


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def update(cell, training, pictures, labels, rows):
    """A training step with Adam: weights and moments afterwards, and the loss before."""
    p, m, v, t = training
    loss, g = jax.value_and_grad(functools.partial(mean_loss, cell))(p, pictures[:, rows], labels[rows])
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), p, m, v)
    return (p, m, v, t), loss


class Trainer:
    """Trains a classifier, as many batches at a time as are asked for."""

    def __init__(self, request):
        self.cell, self.batch = request["cell"], request["batch"]
        self.pictures, self.labels = mnist()
        p = initial(self.cell, request["hidden"])
        zeros = functools.partial(jax.tree.map, jnp.zeros_like)
        self.training = p, zeros(p), zeros(p), jnp.float32(0)
        order = self.order()
        self.run([order[0], order[-1], order[0], order[-1]])  # batches of two sizes, to compile and warm up
        self.rows = itertools.chain.from_iterable(self.order() for _ in itertools.count())

    def order(self):
        n = len(self.labels)
        return np.array_split(np.random.default_rng().permutation(n).astype(np.int32), max(1, n // self.batch))

    def run(self, batches):
        start = time.perf_counter()
        for rows in batches:
            self.training, loss = update(self.cell, self.training, self.pictures, self.labels, rows)
        loss = loss.item()  # which waits
        return {"seconds": time.perf_counter() - start, "loss": loss}


@functools.cache
def trainer(key):
    return Trainer(json.loads(key))


def train(request):
    """Seconds that some batches take."""
    batches = request.pop("batches")
    t = trainer(json.dumps(request))
    return t.run(itertools.islice(t.rows, batches))


def version(_):
    return {"version": jax.__version__}


if __name__ == "__main__":
    serve(train, version)
