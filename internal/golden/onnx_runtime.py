"""Writes the golden files testdata/onnx_*.json: numbers of ONNX Runtime, for what PyTorch lacks: peepholes, the
reset gate before the product, sequences of several lengths.

Made with Python 3.11.7, onnx 1.23.2, onnxruntime 1.32.0 and numpy 2.4.6 on amd64. To make the files again:

    python3 -m venv /tmp/onnx
    /tmp/onnx/bin/pip install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
    /tmp/onnx/bin/python -B internal/golden/onnx_runtime.py

Each case is a model of one operator, RNN, LSTM or GRU of opset 14. What goes in is drawn as in pytorch.py. ONNX
Runtime computes in float32; what comes out must be within 1e-6 of the float64 numpy below, which is written to the
conventions of the file and so would show a wrong permutation. In the file all names, shapes and orders of gates are
PyTorch's (LSTM i, f, g, o; GRU r, z, n), and weight_peephole_l0 is [3*H] in the order i, f, o. No length is 0: such
a sequence ends in zeros in ONNX Runtime, whatever its start.
"""

import numpy as np
import onnx
import onnxruntime

import cases

T, B, I, H = 5, 4, 3, 4
# The operator, the place of each of ONNX' gates among PyTorch's, the attributes, and the lengths of the case _lengths
# forward and _bi.
KINDS = {
    "lstm": ("LSTM", [0, 3, 1, 2], {}, [[5, 1, 3, 4], [2, 5, 1, 3]]),
    "lstm_peephole": ("LSTM", [0, 3, 1, 2], {}, [[3, 5, 1, 2], [4, 1, 3, 2]]),
    "gru": ("GRU", [1, 0, 2], {"linear_before_reset": 1}, [[1, 4, 5, 3], [5, 2, 1, 4]]),
    "gru_before": ("GRU", [1, 0, 2], {"linear_before_reset": 0}, [[4, 2, 2, 5], [5, 1, 3, 4]]),
    "elman": ("RNN", [0], {}, [[4, 3, 1, 1], [1, 5, 4, 2]]),
}
PEEPHOLES = [0, 2, 1]  # i, o, f of ONNX among i, f, o


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(kind, w, x, h, c):
    """One step of all rows: the next h and c."""
    a = x @ w["weight_ih"].T + w["bias_ih"]
    b = h @ w["weight_hh"].T + w["bias_hh"]
    if kind == "elman":
        return np.tanh(a + b), c
    if kind.startswith("lstm"):
        i, f, g, o = np.split(a + b, 4, axis=1)
        pi, pf, po = np.split(w.get("weight_peephole", np.zeros(3 * H)), 3)
        c = sigmoid(f + pf * c) * c + sigmoid(i + pi * c) * np.tanh(g)
        return sigmoid(o + po * c) * np.tanh(c), c
    r, z = (sigmoid(s) for s in np.split((a + b)[:, :2 * H], 2, axis=1))
    a, b = a[:, 2 * H:], b[:, 2 * H:]
    if kind == "gru_before":
        b = (r * h) @ w["weight_hh"][2 * H:].T + w["bias_hh"][2 * H:]
    return (1 - z) * np.tanh(a + r * b if kind == "gru" else a + b) + z * h, c


def expected(kind, directions, given):
    """The layer in float64: y, hn and, of the LSTM, cn. Outputs past the end of a sequence are 0."""
    y, hn, cn = np.zeros((T, B, directions * H)), [], []
    lengths = given.get("lengths", np.full(B, T))
    for d in range(directions):
        suffix = "_l0" + "_reverse" * d
        w = {key.removesuffix(suffix): v for key, v in given.items() if key.endswith(suffix)}
        h, c = given["h0"][d], given["c0"][d] if "c0" in given else np.zeros((B, H))
        for t in reversed(range(T)) if d else range(T):
            on = (t < lengths)[:, None]
            next_h, next_c = step(kind, w, given["x"][t], h, c)
            h, c = np.where(on, next_h, h), np.where(on, next_c, c)
            y[t, :, d * H:][:, :H] = np.where(on, h, 0)
        hn.append(h)
        cn.append(c)
    return {"y": y, "hn": np.stack(hn), **({"cn": np.stack(cn)} if "c0" in given else {})}


def run(kind, directions, given):
    """The same by ONNX Runtime."""
    operator, order, attributes, _ = KINDS[kind]
    suffixes = ["_l0", "_l0_reverse"][:directions]

    def gates(name, order):
        """Weights of that name by direction, their gates in ONNX' order."""
        return np.stack([np.concatenate([np.split(given[name + s], len(order))[g] for g in order]) for s in suffixes])

    feeds = {"X": given["x"], "W": gates("weight_ih", order), "R": gates("weight_hh", order),
             "B": np.concatenate([gates("bias_ih", order), gates("bias_hh", order)], axis=1),
             "sequence_lens": given.get("lengths"), "initial_h": given["h0"]}
    if operator == "LSTM":
        feeds["initial_c"] = given["c0"]
        feeds["P"] = gates("weight_peephole", PEEPHOLES) if kind == "lstm_peephole" else None
    names = [name if v is not None else "" for name, v in feeds.items()]
    feeds = {name: v.astype(np.int32 if name == "sequence_lens" else np.float32)
             for name, v in feeds.items() if v is not None}

    outputs = ["Y", "Y_h", "Y_c"] if operator == "LSTM" else ["Y", "Y_h"]
    node = onnx.helper.make_node(operator, names, outputs, hidden_size=H,
                                 direction="bidirectional" if directions == 2 else "forward", **attributes)
    types = {np.dtype(np.float32): onnx.TensorProto.FLOAT, np.dtype(np.int32): onnx.TensorProto.INT32}
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], kind, [value(name, types[v.dtype], v.shape) for name, v in feeds.items()],
        [value(name, onnx.TensorProto.FLOAT, [None] * (4 if name == "Y" else 3)) for name in outputs])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    y, *ends = session.run(None, feeds)
    return {"y": y.transpose(0, 2, 1, 3).reshape(T, B, directions * H), **dict(zip(["hn", "cn"], ends))}


def case(kind, directions, ragged):
    """One operator over a batch, with lengths if ragged."""
    operator, order, attributes, lengths = KINDS[kind]
    name = "onnx_%s%s%s" % (kind, "_bi" if directions == 2 else "", "_lengths" if ragged else "")
    draw = cases.Draw(name, bits=7)
    given = {"x": draw.uniform(T, B, I), "h0": draw.uniform(directions, B, H)}
    if operator == "LSTM":
        given["c0"] = draw.uniform(directions, B, H)
    if ragged:
        given["lengths"] = np.array(lengths[directions - 1])
    shapes = {"weight_ih": [len(order) * H, I], "weight_hh": [len(order) * H, H],
              "bias_ih": [len(order) * H], "bias_hh": [len(order) * H]}
    if kind == "lstm_peephole":
        shapes["weight_peephole"] = [3 * H]
    for suffix in ["_l0", "_l0_reverse"][:directions]:
        given.update({key + suffix: draw.uniform(*shape) for key, shape in shapes.items()})

    computed = run(kind, directions, given)
    for key, want in expected(kind, directions, given).items():
        error = np.abs(computed[key] - want).max()
        assert computed[key].shape == want.shape and error < 1e-6, "%s: %s is %g away" % (name, key, error)
    about = "ONNX Runtime's %s%s: y, hn, cn" % (operator, "".join(", %s=%d" % a for a in attributes.items()))
    cases.write(name, about, given, computed, digits=9, layers=1, directions=directions, hidden=H, **attributes)


if __name__ == "__main__":
    for kind in KINDS:
        for directions in 1, 2:
            for ragged in False, True:
                case(kind, directions, ragged)
