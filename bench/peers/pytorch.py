"""PyTorch's side of the benchmarks: for each request, a line of JSON on stdin, one reply on stdout.

OMP_NUM_THREADS and OPENBLAS_NUM_THREADS say how many threads it may use. MNIST is in the folder UNROLL_MNIST.
"""

import functools
import gzip
import itertools
import json
import os
import time

import torch
from serve import serve, timed
from torch import nn
from torch.nn import functional as F

CELLS = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
STEPS = {"elman": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def idx(name, offset, *shape):
    """One of MNIST's files, as bytes."""
    path = os.path.join(os.environ["UNROLL_MNIST"], name)
    opened = gzip.open(path + ".gz") if os.path.exists(path + ".gz") else open(path, "rb")
    with opened as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8, offset=offset).view(*shape)


@functools.cache
def mnist(part):
    """Pictures [N,28,28] and labels, 5,000 of those to train on held back."""
    pictures = idx(part + "-images-idx3-ubyte", 16, -1, 28, 28)
    labels = idx(part + "-labels-idx1-ubyte", 8, -1).long()
    return (pictures[5000:], labels[5000:]) if part == "train" else (pictures, labels)


def noise(request):
    """Four batches of random pictures."""
    n = 4 * request["batch"]
    return torch.randint(256, (n, request["steps"], 28), dtype=torch.uint8), torch.randint(10, (n,))


class Classifier(nn.Module):
    """A recurrent layer whose last state goes to 10 logits."""

    def __init__(self, cell, hidden, batch_first):
        super().__init__()
        self.dim = 0 if batch_first else 1  # of the batch
        self.rnn = CELLS[cell](28, hidden, batch_first=batch_first)
        self.head = nn.Linear(hidden, 10)

    def forward(self, pictures):
        _, state = self.rnn(pictures.float() / 255)
        h = state[0] if isinstance(state, tuple) else state
        return self.head(h[-1])


class Trainer:
    """Trains a classifier, as many batches at a time as are asked for. The pictures stay bytes until then."""

    def __init__(self, request, data, batch_first, adam):
        self.pictures, self.labels = data
        self.batch = request["batch"]
        self.autocast = request.get("autocast", False)  # to bfloat16
        self.model = Classifier(request["cell"], request["hidden"], batch_first)
        if not batch_first:
            self.pictures = self.pictures.transpose(0, 1).contiguous()
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3, **adam)
        self.rows = self.batches()

    def batches(self):
        while True:
            order = torch.randperm(len(self.labels))
            yield from order.tensor_split(max(1, len(order) // self.batch))

    def run(self, batches):
        start = time.perf_counter()
        for rows in itertools.islice(self.rows, batches):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
                logits = self.model(self.pictures.index_select(self.model.dim, rows))
                loss = F.cross_entropy(logits, self.labels[rows])
            self.adam.zero_grad(set_to_none=True)
            loss.backward()
            self.adam.step()
        return {"seconds": time.perf_counter() - start, "loss": loss.item()}


@functools.cache
def fastest_options():
    """The order of dimensions and the kind of Adam that train the recipe fastest."""
    request = {"cell": "elman", "hidden": 150, "batch": 150, "steps": 28}
    times = {}
    for batch_first, kind in itertools.product((False, True), (None, "foreach", "fused")):
        try:
            trainer = Trainer(request, noise(request), batch_first, {kind: True} if kind else {})
            trainer.run(4)
            times[batch_first, kind] = min(trainer.run(4)["seconds"] for _ in range(3))
        except (TypeError, RuntimeError):  # this release has no such Adam
            pass
    batch_first, kind = min(times, key=times.get)
    return batch_first, {kind: True} if kind else {}


@functools.cache
def trainer(key):
    request = json.loads(key)
    t = Trainer(request, noise(request) if request.get("noise") else mnist("train"), *fastest_options())
    t.run(2)  # to warm up
    return t


def train(request):
    """Seconds that some batches take."""
    batches = request.pop("batches")
    return trainer(json.dumps(request)).run(batches)


def initialise(model):
    """The first values that the library draws by default: Glorot's rule for [x, h] joined, a forget gate at 1."""
    with torch.no_grad():
        for p in model.rnn.parameters():
            p.zero_()
        w, u = model.rnn.weight_ih_l0, model.rnn.weight_hh_l0
        hidden = u.shape[1]
        limit = (6 / (w.shape[1] + hidden + w.shape[0])) ** 0.5
        nn.init.uniform_(w, -limit, limit)
        nn.init.uniform_(u, -limit, limit)
        if isinstance(model.rnn, nn.LSTM):
            model.rnn.bias_ih_l0[hidden : 2 * hidden] = 1
        nn.init.xavier_uniform_(model.head.weight)
        model.head.bias.zero_()


def epoch(request):
    """A whole program: an epoch, or some, without anything that chooses or warms up, and the accuracy that they bring."""
    epochs, seed = request.pop("epochs", 1), request.pop("seed", None)
    if seed is not None:
        torch.manual_seed(seed)
    t = Trainer(request, mnist("train"), False, {})
    if seed is not None:
        initialise(t.model)
    reply = t.run(epochs * (len(t.labels) // t.batch))
    pictures, labels = mnist("t10k")
    with torch.no_grad():
        right = sum(
            (t.model(x.transpose(0, 1)).argmax(1) == y).sum().item()
            for x, y in zip(pictures.split(256), labels.split(256))
        )
    return {**reply, "accuracy": right / len(labels)}


def activation(request):
    x = torch.linspace(-4, 4, request["size"])
    y = torch.empty_like(x)
    function = getattr(torch, request["function"])
    with torch.no_grad():
        return timed(lambda: function(x, out=y))


def step(request):
    """One step of one sequence."""
    cell, x, state = STEPS[request["cell"]](28, request["hidden"]), torch.rand(1, 28), None

    def run():
        nonlocal state
        state = cell(x, state)

    with torch.no_grad():
        return timed(run, request.get("quantile"))


def read(request):
    """A batch of whole sequences."""
    inputs, batch = request.get("input", 28), request["batch"]
    layer = CELLS[request["cell"]](inputs, request["hidden"], request.get("layers", 1))
    x = torch.rand(request["steps"], batch, inputs)
    with torch.no_grad():
        return timed(lambda: layer(x))


def conv(request):
    """A convolution of a batch of sequences."""
    c, batch, steps = request["conv"], request["batch"], request["steps"]
    layer = nn.Conv1d(c["in"], c["out"], c["width"], c["stride"], c["padding"])
    x = torch.rand(batch, c["in"], steps)
    with torch.no_grad():
        return timed(lambda: layer(x))


def long(request):
    """A training step with a loss at every step of long sequences; all activations kept, or windows that are computed again."""
    from torch.utils.checkpoint import checkpoint

    steps, batch, hidden = request["steps"], request["batch"], request["hidden"]
    layer, head = nn.LSTM(28, hidden), nn.Linear(hidden, 10)
    x = torch.rand(steps, batch, 28)
    labels = torch.randint(10, (steps, batch))

    def window(x, labels, h, c):
        y, (h, c) = layer(x, (h, c))
        return F.cross_entropy(head(y).flatten(0, 1), labels.flatten(), reduction="sum"), h, c

    size = steps if request["function"] == "all kept" else int(steps**0.5 + 0.999)
    for _ in range(2):
        start = time.perf_counter()
        loss, h, c = 0, torch.zeros(1, batch, hidden), torch.zeros(1, batch, hidden)
        for i in range(0, steps, size):
            args = window, x[i : i + size], labels[i : i + size], h, c
            l, h, c = args[0](*args[1:]) if size == steps else checkpoint(*args, use_reentrant=False)
            loss = loss + l
        (loss / (steps * batch)).backward()
        seconds = time.perf_counter() - start
    return {"seconds": seconds}


def version(_):
    return {"version": torch.__version__}


if __name__ == "__main__":
    serve(train, epoch, activation, step, read, conv, long, version)
