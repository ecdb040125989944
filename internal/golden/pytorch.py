#!/usr/bin/python3
"""Writes the golden files of testdata/: numbers of PyTorch that the tests compare with.

Made with Debian 12's packages python3-torch 1.13.1 (torch.__version__ 1.13.0a0), python3-numpy 1.24.2
and Python 3.11.2 on amd64. To make the files again:

    apt-get install python3-torch
    /usr/bin/python3 -B internal/golden/pytorch.py

Everything that goes in (inputs, start states, weights, labels, weights of a loss) has values that float32
holds exactly, drawn from numpy's RandomState, whose stream is frozen, and written into the file in full: a
test depends on no generator. PyTorch computes in float64, and what comes out is written with 12
significant digits (family_*, composed_* and conv1d_*: 9). So a file serves float32 code at 1e-5 and a float64 reference at
1e-10 (family_*, composed_* and conv1d_*: 1e-8), and float32 code is measured against the truth, not against another rounding.
"""

import itertools

import torch

import cases

MODULES = {
    "elman_tanh": lambda i, h, n: torch.nn.RNN(i, h, n, nonlinearity="tanh"),
    "elman_relu": lambda i, h, n: torch.nn.RNN(i, h, n, nonlinearity="relu"),
    "lstm": lambda i, h, n: torch.nn.LSTM(i, h, n),
}


class Draw(cases.Draw):
    """Draws tensors, and weights of modules."""

    def uniform(self, *shape, limit=1.0):
        return torch.from_numpy(super().uniform(*shape, limit=limit))

    def fill(self, module, limit=0.5):
        """Makes the module float64 and gives all its weights, biases too, new values."""
        module.double()
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(self.uniform(*p.shape, limit=limit))
        return module


def write(name, about, given, computed, **options):
    """cases.write of tensors."""
    given, computed = ({key: torch.as_tensor(t).detach().numpy() for key, t in tensors.items()}
                       for tensors in (given, computed))
    cases.write(name, about, given, computed, **options)


def weigh(draw, results):
    """Factors of a loss, of the sizes of results.

    They lean to the signs of what they weigh: a sum that cancelled would be lost in float32's rounding.
    """
    return {"loss." + key: (draw.uniform(*v.shape) + v.detach().sign() / 2).float().double()
            for key, v in results.items()}


def weighted(factors, results):
    """The sum over all results of each times its factors."""
    return sum((factors["loss." + key].to(v.dtype) * v).sum() for key, v in results.items())


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

    factors = weigh(draw, results)
    loss = weighted(factors, results)
    loss.backward()
    grads = {"grad." + key: v.grad for key, v in leaves.items()}
    about = "%s: y, hn, cn and the gradients of loss, the sum over them of each times loss.y, loss.hn, loss.cn" % module
    write(name, about, {**leaves, **factors}, {**results, "loss": loss, **grads}, layers=layers, truncate=truncate)


def member(kind, dtype, draw, layers, directions, projection, bias):
    """One of the family with given start states, its gradients, and its weights after ten steps of Adam."""
    T, B, I, H, steps, lr = 5, 2, 3, 4, 10, 0.01
    make, options = {"elman": (torch.nn.RNN, {}), "gru": (torch.nn.GRU, {}),
                     "lstm": (torch.nn.LSTM, dict(proj_size=projection))}[kind]
    module = draw.fill(make(I, H, layers, bias=bias, bidirectional=directions == 2, **options))
    states = {"h0": draw.uniform(layers * directions, B, projection or H)}
    if kind == "lstm":
        states["c0"] = draw.uniform(layers * directions, B, H)
    leaves = {"x": draw.uniform(T, B, I), **states}
    leaves = {key: v.to(dtype).requires_grad_() for key, v in leaves.items()}
    weights = dict(module.to(dtype).named_parameters())

    def run():
        start = tuple(leaves[key] for key in states)
        y, end = module(leaves["x"], start if kind == "lstm" else start[0])
        return {"y": y, **dict(zip(["hn", "cn"], end if kind == "lstm" else [end]))}

    results = run()
    factors = weigh(draw, results)
    adam = torch.optim.Adam(weights.values(), lr=lr)
    for step in range(steps):
        adam.zero_grad()
        loss = weighted(factors, results)
        loss.backward()
        if step == 0:
            given = {key: v.detach().clone() for key, v in {**leaves, **weights, **factors}.items()}
            grads = {"grad." + key: v.grad.clone() for key, v in {**leaves, **weights}.items()}
            computed = {**results, "loss": loss, **grads}
        adam.step()
        results = run()
    computed.update({"after." + key: v for key, v in weights.items()})
    config = dict(layers=layers, directions=directions, projection=projection, bias=int(bias), hidden=H,
                  lr=lr, steps=steps)
    return module, given, computed, config


def family(kind, layers, directions, projection, bias):
    """Writes member, of the first draw that has no weight whose gradient is too small for Adam (see train)."""
    name = "family_%s_l%d%s%s%s" % (kind, layers, "_bi" if directions == 2 else "", "_proj" if projection else "",
                                    "" if bias else "_nobias")
    settings = layers, directions, projection, bias
    for attempt in itertools.count():
        seed = "%s_%d" % (name, attempt) if attempt else name
        module, given, computed, config = member(kind, torch.float64, Draw(seed, bits=7), *settings)
        _, _, single, _ = member(kind, torch.float32, Draw(seed, bits=7), *settings)
        if all(apart(single[key], v) < 1e-6 for key, v in computed.items() if key.startswith("after.")):
            break
    about = ("%s: y, hn, cn and the gradients of loss, the sum over them of each times loss.y, loss.hn, loss.cn; "
             "weights after steps of Adam on that loss" % module)
    write(name, about, given, computed, digits=9, **config)


def product(w, of, rows, v):
    """Some rows of weight_ih or weight_hh times v, normalised by themselves."""
    weight, gain, bias = (w[part + of][rows] for part in ("weight_", "weight_ln_", "bias_"))
    return torch.nn.functional.layer_norm(v @ weight.t(), bias.shape, gain, bias)


def cell(kind, w, x, h):
    """The state after a step of a cell that PyTorch has not, with weights w."""
    if kind == "mingru":
        z, n = torch.nn.functional.linear(x, w["weight_ih"], w["bias_ih"]).chunk(2, 1)
        return torch.lerp(h, n, torch.sigmoid(z))
    if kind.startswith("indrnn"):
        total = torch.nn.functional.linear(x, w["weight_ih"], w["bias_ih"]) + w["weight_hh"] * h
        return torch.tanh(total) if kind.endswith("tanh") else torch.relu(total)
    if kind == "elman_norm":
        every = slice(None)
        return torch.tanh(product(w, "ih", every, x) + product(w, "hh", every, h))
    gates, last = slice(0, 2 * h.shape[1]), slice(2 * h.shape[1], None)
    r, z = torch.sigmoid(product(w, "ih", gates, x) + product(w, "hh", gates, h)).chunk(2, 1)
    if kind == "gru_before_norm":
        n = product(w, "hh", last, r * h)
    else:
        n = r * product(w, "hh", last, h)
    return torch.lerp(torch.tanh(product(w, "ih", last, x) + n), h, z)


def stacked(kind, dtype, draw, layers, directions):
    """A stack of such cells with given start states, and its gradients."""
    T, B, I, H = 4, 2, 3, 4
    G = {"mingru": 2, "gru_norm": 3, "gru_before_norm": 3}.get(kind, 1)
    leaves = {"x": draw.uniform(T, B, I), "h0": draw.uniform(layers * directions, B, H)}
    for k in range(layers):
        for suffix in ["", "_reverse"][:directions]:
            shapes = {"weight_ih": [G * H, directions * H if k else I], "bias_ih": [G * H]}
            if kind.startswith("indrnn"):
                shapes["weight_hh"] = [H]
            elif kind != "mingru":
                shapes.update(weight_hh=[G * H, H], bias_hh=[G * H], weight_ln_ih=[G * H], weight_ln_hh=[G * H])
            leaves.update({"%s_l%d%s" % (key, k, suffix): draw.uniform(*shape) for key, shape in shapes.items()})
    leaves = {key: v.to(dtype).requires_grad_() for key, v in leaves.items()}
    y, ends = leaves["x"], []
    for k in range(layers):
        outputs = []
        for d, suffix in enumerate(["", "_reverse"][:directions]):
            end = "_l%d%s" % (k, suffix)
            w = {key[:-len(end)]: v for key, v in leaves.items() if key.endswith(end)}
            h, steps = leaves["h0"][k * directions + d], {}
            for t in range(T)[::-1 if d else 1]:
                steps[t] = h = cell(kind, w, y[t], h)
            outputs.append(torch.stack([steps[t] for t in range(T)]))
            ends.append(h)
        y = torch.cat(outputs, 2)
    results = {"y": y, "hn": torch.stack(ends)}
    factors = weigh(draw, results)
    loss = weighted(factors, results)
    loss.backward()
    return {**leaves, **factors}, {**results, "loss": loss, **{"grad." + key: v.grad for key, v in leaves.items()}}


def composed(kind, layers, directions):
    """Writes stacked, of the first draw whose float32 run is near its float64 run."""
    name = "composed_%s_l%d%s" % (kind, layers, "_bi" if directions == 2 else "")
    for attempt in itertools.count():
        seed = "%s_%d" % (name, attempt) if attempt else name
        given, computed = stacked(kind, torch.float64, Draw(seed, bits=7), layers, directions)
        _, single = stacked(kind, torch.float32, Draw(seed, bits=7), layers, directions)
        if all(apart(single[key], v) < 1e-6 for key, v in computed.items()):
            break
    about = ("%s of %d layers and %d directions, composed of operations: y, hn and the gradients of loss, the sum over them of each "
             "times loss.y, loss.hn" % (kind, layers, directions))
    write(name, about, given, computed, digits=9, layers=layers, directions=directions, hidden=4)


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


def apart(got, want):
    """The largest difference, relative to the largest value."""
    return ((got.double() - want).abs().max() / want.abs().max()).item()


def train(kind):
    """Writes the run of classifier.

    Adam divides a gradient by its own size, so a weight whose gradient is no larger than its rounding error
    could end anywhere near its start. These data have no such weight: PyTorch's own float32 run must end
    within 1e-6 of its float64 run, relative to the largest weight of each tensor.
    """
    given, computed, config = classifier(kind, torch.float64)
    _, single, _ = classifier(kind, torch.float32)
    for key, want in computed.items():
        error = apart(single[key], want)
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


def losses():
    """The other losses, each with its options off and on."""
    F = torch.nn.functional
    draw = Draw("losses")
    x = draw.uniform(6, 5, limit=4.0).requires_grad_()
    labels = torch.tensor([3, -100, 0, 4, -100, 3])
    weights = torch.tensor([0.5, 2, 0, 1.25, 3]).double()
    target = draw.uniform(6, 5, limit=4.0)
    share = draw.uniform(6, 5).abs()
    share[0, 0], share[0, 1] = 0, 1
    for name, given, config, loss in (
            ("ce_weights", {"labels": labels, "weights": weights}, {}, F.cross_entropy(x, labels, weight=weights)),
            ("ce_smoothing", {"labels": labels}, {"smoothing": 0.125}, F.cross_entropy(x, labels, label_smoothing=0.125)),
            ("ce_both", {"labels": labels, "weights": weights}, {"smoothing": 0.25},
             F.cross_entropy(x, labels, weight=weights, label_smoothing=0.25)),
            ("mse", {"target": target}, {}, F.mse_loss(x, target)),
            ("huber", {"target": target}, {}, F.huber_loss(x, target)),
            ("huber_delta", {"target": target}, {"delta": 2.5}, F.huber_loss(x, target, delta=2.5)),
            ("bce", {"target": share}, {}, F.binary_cross_entropy_with_logits(x, share)),
            ("bce_weights", {"target": share, "weights": weights}, {},
             F.binary_cross_entropy_with_logits(x, share, pos_weight=weights))):
        grad, = torch.autograd.grad(loss, x)
        write("loss_" + name, "torch.nn.functional's loss of that name, its mean", {"x": x, **given},
              {"loss": loss, "grad.x": grad}, **config)


def layers():
    """Layers without a state."""
    draw = Draw("layers")
    x = draw.uniform(6, 5, limit=3.0).requires_grad_()
    norm = draw.fill(torch.nn.LayerNorm(5))
    table = draw.fill(torch.nn.Embedding(4, 5))
    factors = draw.uniform(6, 5)
    ids = torch.tensor([3, 0, 3, 1, 1, 2])
    for name, weights, y in (
            ("norm", {"weight": norm.weight, "bias": norm.bias}, norm(x)),
            ("gelu", {}, torch.nn.functional.gelu(x)),
            ("embedding", {"table": table.weight}, table(ids))):
        leaves = {} if name == "embedding" else {"x": x}
        leaves.update(weights)
        grads = torch.autograd.grad((y * factors).sum(), list(leaves.values()))
        write("layer_" + name, "torch.nn's layer of that name; gradients of the sum of y * factors",
              {"x": x, "factors": factors, **weights},
              {"y": y, **{"grad." + key: g for key, g in zip(leaves, grads)}})


def attention():
    """Attention of one query a row over the whole memory, and of three queries a row over memories of unequal lengths.

    torch has none of these layers; each is composed from the equations of its paper (see layers/attention.go). The
    memory past a row's length gets a score of -inf.
    """
    T, B, M, H = 5, 4, 6, 7
    for kind in "dot", "scaled", "general", "additive":
        for queries, lengths in ((0, None), (3, [5, 2, 4, 1])):
            name = "attention_%s%s" % (kind, "_lengths" if lengths else "")
            draw = Draw(name)
            width = 5 if kind in ("general", "additive") else M
            leaves = {"query": draw.uniform(*([queries] if queries else []), B, width), "memory": draw.uniform(T, B, M)}
            if kind == "general":
                leaves["weight"] = draw.uniform(width, M)
            if kind == "additive":
                leaves.update({"query.weight": draw.uniform(H, width), "memory.weight": draw.uniform(H, M),
                               "score.weight": draw.uniform(1, H)})
            leaves = {key: v.requires_grad_() for key, v in leaves.items()}
            query, memory = leaves["query"].reshape(-1, B, width), leaves["memory"]
            if kind == "additive":
                hidden = (query @ leaves["query.weight"].T)[:, None] + (memory @ leaves["memory.weight"].T)[None]
                scores = (hidden.tanh() @ leaves["score.weight"][0]).transpose(1, 2)
            else:
                keys = memory @ leaves["weight"].T if kind == "general" else memory
                scores = torch.einsum("ubn,tbn->ubt", query, keys) / (width ** 0.5 if kind == "scaled" else 1)
            if lengths:
                scores = scores.masked_fill(torch.arange(T) >= torch.tensor(lengths)[:, None], float("-inf"))
            weights = scores.softmax(-1)
            results = {"context": torch.einsum("ubt,tbn->ubn", weights, memory), "attention": weights}
            if not queries:
                results = {key: v[0] for key, v in results.items()}
            factors = weigh(draw, results)
            loss = weighted(factors, results)
            loss.backward()
            given = {**leaves, **factors, **({"lengths": torch.tensor(lengths)} if lengths else {})}
            write(name, "attention by the equations: context, weights (attention) and the gradients of loss, the sum over "
                  "both of each times loss.context, loss.attention", given,
                  {**results, "loss": loss, **{"grad." + key: v.grad for key, v in leaves.items()}})


CONVOLUTIONS = [  # rows, In, Out, width, and what else differs from a stride, dilation and group of 1 with a bias and no padding
    (1, 3, 4, 1, {}), (2, 3, 4, 1, dict(stride=2)), (1, 3, 2, 3, {}), (2, 3, 2, 3, {}),
    (2, 17, 3, 3, {}), (1, 17, 3, 3, dict(stride=2)), (3, 17, 3, 2, dict(stride=3)), (9, 16, 2, 2, dict(stride=2)),
    (1, 1, 5, 4, dict(stride=2)), (2, 1, 5, 4, dict(stride=2)), (1, 2, 3, 8, {}), (2, 2, 3, 8, dict(bias=0)),
    (1, 3, 4, 3, dict(left=1, right=1)), (2, 3, 4, 3, dict(left=1, right=1)), (2, 16, 2, 3, dict(left=1, right=1)),
    (2, 16, 2, 3, dict(left=1, right=1, stride=2)), (1, 3, 4, 5, dict(left=2, right=2, bias=0)), (2, 3, 4, 5, dict(left=4)),
    (1, 3, 2, 9, dict(left=8, stride=2)), (2, 17, 2, 9, dict(left=3, right=7)), (1, 3, 2, 3, dict(left=5, right=9, stride=4)),
    (1, 3, 4, 3, dict(left=1, right=1, mirrored=1)), (2, 3, 4, 3, dict(left=2, right=1, mirrored=1)),
    (2, 17, 2, 3, dict(left=1, right=2, mirrored=1)), (1, 1, 4, 4, dict(right=6, mirrored=1, stride=2)),
    (2, 16, 2, 5, dict(left=7, right=7, mirrored=1, stride=3)), (2, 4, 4, 3, dict(left=3, right=2, mirrored=1, groups=2)),
    (1, 3, 2, 3, dict(dilation=2)), (2, 3, 2, 3, dict(dilation=3)), (2, 3, 2, 3, dict(dilation=2, left=4)),
    (1, 3, 2, 4, dict(dilation=2, left=3, right=3, stride=2)), (3, 2, 3, 2, dict(dilation=5, left=4, right=4, mirrored=1)),
    (2, 3, 2, 1, dict(dilation=4, left=1)), (1, 4, 6, 3, dict(groups=2)), (2, 4, 6, 3, dict(groups=2, left=2)),
    (2, 6, 3, 3, dict(groups=3, stride=2, left=1, right=1, bias=0)), (1, 5, 5, 3, dict(groups=5)),
    (2, 5, 5, 3, dict(groups=5, left=4, dilation=2)), (2, 5, 5, 4, dict(groups=5, left=2, right=3, stride=2, mirrored=1)),
    (3, 3, 6, 2, dict(groups=3, dilation=2, left=1, bias=0)),
]


def convolutions():
    """torch.nn.Conv1d of sequences of 8 steps, after torch.nn.functional.pad."""
    for n, (rows, inputs, outputs, width, other) in enumerate(CONVOLUTIONS):
        config = dict(width=width, stride=1, dilation=1, groups=1, left=0, right=0, mirrored=0, bias=1)
        config.update(other)
        name = "conv1d_%02d" % n
        draw = Draw(name, bits=7)
        module = draw.fill(torch.nn.Conv1d(inputs, outputs, width, config["stride"], 0, config["dilation"], config["groups"],
                                           bool(config["bias"])))
        leaves = {"x": draw.uniform(8, rows, inputs).requires_grad_(), **dict(module.named_parameters())}
        padded = torch.nn.functional.pad(leaves["x"].permute(1, 2, 0), (config["left"], config["right"]),
                                         mode="reflect" if config["mirrored"] else "constant")
        y = module(padded).permute(2, 0, 1)
        factors = draw.uniform(*y.shape)
        grads = torch.autograd.grad((y * factors).sum(), list(leaves.values()))
        write(name, "torch.nn.Conv1d, time-major; gradients of the sum of y * factors", {**leaves, "factors": factors},
              {"y": y, **{"grad." + key: g for key, g in zip(leaves, grads)}}, digits=9, **config)


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023, arXiv:2302.06675; torch has none."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                m = self.state[w].setdefault("exp_avg", torch.zeros_like(w))
                beta1, beta2 = group["betas"]
                c = beta1 * m + (1 - beta1) * w.grad
                assert ((c == 0) | (c.abs() > 1e-5)).all(), "a sign that rounding could turn"
                w -= group["lr"] * (c.sign() + group["weight_decay"] * w)
                m.copy_(beta2 * m + (1 - beta2) * w.grad)


def optim():
    """Optimizers over 1,000 steps of gradients by a formula, and schedules of the learning rate.

    Element j of 7 starts at (j-3)/4. Its gradient at step s, from 0, is ((s*(2*j+3) + 5*j) % 17 - 7) * 2**(j-5), but
    for element 6 in steps that are no multiples of 10, where it is 0. Schedules: the rate of each step, from 0.
    """
    j = torch.arange(7)
    for name, make, options in (
            ("sgd_plain", torch.optim.SGD, dict(lr=0.01)),
            ("sgd_all", torch.optim.SGD, dict(lr=0.01, momentum=0.9, dampening=0.25, weight_decay=0.05)),
            ("sgd_nesterov", torch.optim.SGD, dict(lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.05)),
            ("adam_l2", torch.optim.Adam, dict(lr=0.01, weight_decay=0.05)),
            ("adamw_plain", torch.optim.AdamW, dict(lr=0.01)),
            ("adamw_all", torch.optim.AdamW, dict(lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
            ("rmsprop_plain", torch.optim.RMSprop, dict(lr=0.01)),
            ("rmsprop_all", torch.optim.RMSprop, dict(lr=0.001, alpha=0.9, eps=0.01, momentum=0.8, centered=True,
                                                      weight_decay=0.05)),
            ("adagrad_plain", torch.optim.Adagrad, dict(lr=0.1)),
            ("adagrad_all", torch.optim.Adagrad, dict(lr=0.1, lr_decay=0.01, initial_accumulator_value=0.5, eps=1e-3,
                                                      weight_decay=0.05)),
            ("lion_plain", Lion, dict(lr=2**-10)),  # equal steps that float32 rounds would all be wrong alike
            ("lion_all", Lion, dict(lr=0.001, betas=(0.95, 0.98), weight_decay=1.0))):
        w = ((j - 3).double() / 4).requires_grad_()
        optimizer = make([w], **options)
        after = []
        for s in range(1000):
            g = ((s * (2 * j + 3) + 5 * j) % 17 - 7).double() * 2.0 ** (j - 5)
            w.grad = g * ((j < 6) | (s % 10 == 0))
            optimizer.step()
            if s + 1 in (1, 10, 100, 1000):
                after.append(w.detach().clone())
        if "betas" in options:
            options["beta1"], options["beta2"] = options.pop("betas")
        write("optim_" + name, "%s: weights after 1, 10, 100 and 1000 steps" % make.__name__, {},
              {"after": torch.stack(after)}, **{key: float(v) for key, v in options.items()})

    schedulers = torch.optim.lr_scheduler

    def warmup(o, warm, steps):
        first = schedulers.LinearLR(o, start_factor=1 / (warm + 1), total_iters=warm)
        return schedulers.SequentialLR(o, [first, schedulers.CosineAnnealingLR(o, steps)], [warm])

    for name, make, steps, options in (
            ("step", schedulers.StepLR, 60, dict(step_size=7, gamma=0.6)),
            ("cosine", schedulers.CosineAnnealingLR, 51, dict(T_max=50, eta_min=0.01)),  # it would rise after 50
            ("warmup", warmup, 41, dict(warm=10, steps=30)),
            ("onecycle", schedulers.OneCycleLR, 100, dict(max_lr=0.1, total_steps=100)),
            ("onecycle_all", schedulers.OneCycleLR, 37, dict(max_lr=0.1, total_steps=37, pct_start=0.4, div_factor=10,
                                                             final_div_factor=50)),
            ("onecycle_short", schedulers.OneCycleLR, 3, dict(max_lr=0.1, total_steps=3)),
            ("plateau", schedulers.ReduceLROnPlateau, 90, dict(patience=5)),
            ("plateau_all", schedulers.ReduceLROnPlateau, 90, dict(mode="max", factor=0.5, patience=2, threshold=0.25,
                                                                    threshold_mode="abs", cooldown=4, min_lr=0.004))):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        scheduler = make(optimizer, **options)
        rates = []
        for s in range(steps):
            if "plateau" in name:
                # The metric falls to 1, or rises to 3, and swings; the rate is the one after it.
                falling = max(4 - s / 8, 1) + s * 5 % 7 / 64
                scheduler.step(falling if name == "plateau" else 4 - falling)
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if "plateau" not in name and s + 1 < steps:
                scheduler.step()
        config = {key: v for key, v in options.items() if not isinstance(v, str)}
        write("lr_" + name, "%s on a rate of 0.1: the rate of each step" % make.__name__, {},
              {"after": torch.tensor(rates, dtype=torch.float64)}, **config)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for kind in MODULES:
        for n in 1, 2, 3:
            for start in False, True:
                recurrent(kind, n, start)
        recurrent(kind, 2, True, truncate=3)
    for kind, projections in ("elman", [0]), ("lstm", [0, 3]), ("gru", [0]):
        for settings in itertools.product([1, 2, 3], [1, 2], projections, [True, False]):
            family(kind, *settings)
    for kind in "mingru", "indrnn", "indrnn_tanh", "elman_norm", "gru_norm", "gru_before_norm":
        composed(kind, 1, 1)
        composed(kind, 2, 2)
    train("elman_tanh")
    train("lstm")
    adam()
    clip()
    cross_entropy()
    losses()
    layers()
    convolutions()
    attention()
    optim()
