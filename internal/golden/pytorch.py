#!/usr/bin/python3
"""Writes the golden files of testdata/: numbers of PyTorch that the tests compare with.

Made with Debian 12's packages python3-torch 1.13.1 (torch.__version__ 1.13.0a0), python3-numpy 1.24.2
and Python 3.11.2 on amd64. To make the files again:

    apt-get install python3-torch
    /usr/bin/python3 internal/golden/pytorch.py

Everything that goes in (inputs, start states, weights, labels, weights of a loss) has values that float32
holds exactly, drawn from numpy's RandomState, whose stream is frozen, and written into the file in full: a
test depends on no generator. PyTorch computes in float64, and what comes out is written with 12
significant digits. So a file serves float32 code at 1e-5 and a float64 reference at 1e-10, and float32
code is measured against the truth, not against another rounding.
"""

import json
import os
import zlib

import numpy as np
import torch

DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata")
MODULES = {
    "elman_tanh": lambda i, h, n: torch.nn.RNN(i, h, n, nonlinearity="tanh"),
    "elman_relu": lambda i, h, n: torch.nn.RNN(i, h, n, nonlinearity="relu"),
    "lstm": lambda i, h, n: torch.nn.LSTM(i, h, n),
}


class Draw:
    """Draws float64 tensors of values that float32 holds exactly; the seed is a hash of a case's name."""

    def __init__(self, name):
        self.random = np.random.RandomState(zlib.crc32(name.encode()))

    def uniform(self, *shape, limit=1.0):
        return torch.from_numpy(self.random.uniform(-limit, limit, shape).astype(np.float32).astype(np.float64))

    def fill(self, module, limit=0.5):
        """Makes the module float64 and gives all its weights, biases too, new values."""
        module.double()
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(self.uniform(*p.shape, limit=limit))
        return module


def write(name, about, given, computed, **config):
    """Writes testdata/name.json: the tensors of given in full, those of computed with 12 digits, a line each."""
    lines = []
    for tensors, digits in (given, "{!r}"), (computed, "{:.12g}"):
        for key, t in tensors.items():
            t = torch.as_tensor(t).detach().double() + 0.0  # and no negative zeros
            data = ",".join(digits.format(v) for v in t.flatten().tolist())
            lines.append('"%s": {"shape": %s, "data": [%s]}' % (key, json.dumps(list(t.shape)), data))
    with open(os.path.join(DIR, name + ".json"), "w") as f:
        f.write('{\n"about": %s,\n"config": %s,\n"tensors": {\n%s\n}\n}\n'
                % (json.dumps(about), json.dumps(config), ",\n".join(lines)))


def recurrent(kind, layers, start, truncate=0):
    """A stack over a sequence: outputs, final states, and all gradients of a weighted sum of both.

    With truncate, as BPTT is truncated in PyTorch: in windows counted back from the last step, the state
    detached between them.
    """
    T, B, I, H = 7, 3, 5, 6
    name = "%s_l%d%s%s" % (kind, layers, "_start" if start else "", "_truncate%d" % truncate if truncate else "")
    draw = Draw(name)
    module = draw.fill(MODULES[kind](I, H, layers))
    x = draw.uniform(T, B, I).requires_grad_()
    states = ["h", "c"] if kind == "lstm" else ["h"]
    leaves = {"x": x}
    if start:
        leaves.update({s + "0": draw.uniform(layers, B, H).requires_grad_() for s in states})
    leaves.update(module.named_parameters())

    state = tuple(leaves[s + "0"] for s in states) if start else None
    cuts = [t for t in range(T % truncate, T, truncate) if t > 0] if truncate else []
    outputs = []
    for first, last in zip([0] + cuts, cuts + [T]):
        if first > 0:
            state = tuple(s.detach() for s in state)
        y, state = module(x[first:last], state if kind == "lstm" or state is None else state[0])
        outputs.append(y)
        if kind != "lstm":
            state = (state,)
    results = {"y": torch.cat(outputs), **{s + "n": v for s, v in zip(states, state)}}

    # The factors lean to the signs of what they weigh: a sum that cancelled would be lost in float32's rounding.
    factors = {"loss." + key: (draw.uniform(*v.shape) + v.detach().sign() / 2).float().double()
               for key, v in results.items()}
    loss = sum((factors["loss." + key] * v).sum() for key, v in results.items())
    loss.backward()
    grads = {"grad." + key: v.grad for key, v in leaves.items()}
    about = "%s: y, hn, cn and the gradients of loss, the sum over them of each times loss.y, loss.hn, loss.cn" % module
    write(name, about, {**leaves, **factors}, {**results, "loss": loss, **grads}, layers=layers, truncate=truncate)


def classifier(kind, dtype):
    """Ten steps of Adam on one batch, a class a sequence: the data, weights before and after, each step's loss."""
    T, B, I, H, classes, steps, lr = 7, 6, 5, 6, 4, 10, 0.01
    draw = Draw("train_" + kind)
    model = draw.fill(torch.nn.ModuleDict({"rnn": MODULES[kind](I, H, 1), "head": torch.nn.Linear(H, classes)}))
    x = draw.uniform(T, B, I, limit=2.0)
    labels = torch.from_numpy(draw.random.randint(0, classes, B))
    given = {"x": x, "labels": labels}
    given.update({"before." + key: p.detach().clone() for key, p in model.named_parameters()})

    model.to(dtype)
    adam = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        adam.zero_grad()
        y, _ = model["rnn"](x.to(dtype))
        loss = torch.nn.functional.cross_entropy(model["head"](y[-1]), labels)
        loss.backward()
        adam.step()
        losses.append(loss.item())
    after = {"after." + key: p for key, p in model.named_parameters()}
    return given, {"losses": torch.tensor(losses, dtype=torch.float64), **after}, dict(steps=steps, lr=lr)


def train(kind):
    """Writes the run of classifier.

    Adam divides a gradient by its own size, so a weight whose gradient is no larger than its rounding error
    could end anywhere near its start. These data have no such weight: PyTorch's own float32 run must end
    within 1e-6 of its float64 run, relative to the largest weight of each tensor.
    """
    given, computed, config = classifier(kind, torch.float64)
    _, single, _ = classifier(kind, torch.float32)
    for key, want in computed.items():
        error = ((single[key].double() - want).abs().max() / want.abs().max()).item()
        assert error < 1e-6, "%s: float32 %s is %g away" % (kind, key, error)
    about = ("%s and a Linear on its last output: steps of Adam on one batch, "
             "loss before each step, weights before the first and after the last" % MODULES[kind](5, 6, 1))
    write("train_" + kind, about, given, computed, **config)


def adam():
    """Adam alone, on gradients that try its corners."""
    steps, lr = 12, 0.01
    draw = Draw("adam")
    t = torch.arange(steps).double()
    gradients = torch.stack([
        0 * t,                                  # never any gradient
        (t >= 4) * 0.5,                         # none at first
        (t == 0) * 1.0,                         # none after the first
        0 * t + 1e-9,                           # below eps
        1e4 / (1 + t),                          # large
        0.125 * (-1) ** t,                      # alternating
        draw.uniform(steps),
    ], dim=1).float().double()
    w = draw.uniform(7).requires_grad_()
    given = {"before": w.detach().clone(), "gradients": gradients}
    optimizer = torch.optim.Adam([w], lr=lr)
    after = []
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
        after.append(w.detach().clone())
    write("adam", "torch.optim.Adam: 7 weights before, their gradients at each step, weights after each step",
          given, {"after": torch.stack(after)}, lr=lr, beta1=0.9, beta2=0.999, eps=1e-8)


def clip():
    """The gradients of three weights, of norm over the limit, clipped as one vector."""
    draw = Draw("clip")
    params = {key: torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
              for key, shape in {"a": (3, 4), "b": (5,), "c": (2, 2)}.items()}
    given = {}
    for key, p in params.items():
        given[key] = draw.uniform(*p.shape, limit=2.0)
        p.grad = given[key].clone()
    norm = torch.nn.utils.clip_grad_norm_(params.values(), max_norm=1.5)
    assert norm > 1.5
    write("clip_grad_norm", "torch.nn.utils.clip_grad_norm_: gradients, their norm, gradients after",
          given, {"norm": norm, **{"clipped." + key: p.grad for key, p in params.items()}}, max_norm=1.5)


def cross_entropy():
    """Rows that count and rows of label -100; and logits whose exponentials no float holds."""
    draw = Draw("cross_entropy")
    large = 1e4 * torch.tensor([[1, -1, 1, 0, -1], [1, 1, 1, 1, 1], [-1, -1, -1, -1, -1],
                                [1, -1, -1, -1, -1], [1, 0, -1, 0, 1]]).double()
    for name, logits, labels in (
            ("cross_entropy", draw.uniform(6, 5, limit=4.0), [3, -100, 0, 4, -100, 3]),
            ("cross_entropy_large", (large + draw.uniform(5, 5, limit=3.0)).float().double(), [2, 4, 0, 3, -100])):
        labels = torch.tensor(labels)
        given = {"logits": logits.requires_grad_(), "labels": labels}
        loss = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100)
        loss.backward()
        write(name, "torch.nn.functional.cross_entropy, mean over the rows whose label is not -100",
              given, {"loss": loss, "grad.logits": logits.grad})


if __name__ == "__main__":
    torch.set_num_threads(1)
    for kind in MODULES:
        for layers in 1, 2, 3:
            for start in False, True:
                recurrent(kind, layers, start)
        recurrent(kind, 2, True, truncate=3)
    train("elman_tanh")
    train("lstm")
    adam()
    clip()
    cross_entropy()
