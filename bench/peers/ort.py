"""ONNX Runtime's side of the benchmarks, on one thread: for each request, a line of JSON on stdin, one reply on stdout."""

import functools
import os

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from serve import serve, timed

OPERATORS = {"elman": ("RNN", 1), "lstm": ("LSTM", 4), "gru": ("GRU", 3)}


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@functools.cache
def network(cell, inputs, hidden, layers):
    """A stack of recurrent layers from x [T,B,inputs] and the state of each layer to y [T,1,B,hidden] and the states."""
    operator, gates = OPERATORS[cell]
    random = np.random.default_rng(1)
    options = {"hidden_size": hidden} | ({"linear_before_reset": 1} if cell == "gru" else {})
    states = ["h", "c"] if cell == "lstm" else ["h"]
    nodes, weights, x, taken, given = [], [numpy_helper.from_array(np.array([1]), "one")], "x", ["x"], []
    for k in range(layers):
        read = inputs if k == 0 else hidden
        for name, shape in (("w", (gates * hidden, read)), ("r", (gates * hidden, hidden)), ("b", (2 * gates * hidden,))):
            values = random.uniform(-1, 1, (1, *shape)).astype(np.float32) / hidden**0.5
            weights.append(numpy_helper.from_array(values, f"{name}{k}"))
        before, after = [f"{s}{k}" for s in states], [f"{s}{k}_after" for s in states]
        nodes.append(helper.make_node(operator, [x, f"w{k}", f"r{k}", f"b{k}", "", *before], [f"y{k}", *after], **options))
        nodes.append(helper.make_node("Squeeze", [f"y{k}", "one"], [f"x{k}"]))
        x, taken, given = f"x{k}", taken + before, given + after
    tensor = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "network",
        [tensor("x", "T", "B", inputs)] + [tensor(s, 1, "B", hidden) for s in taken[1:]],
        [tensor(x, "T", "B", hidden)] + [tensor(s, 1, "B", hidden) for s in given],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return session(model.SerializeToString())


def read(request):
    """A batch of sequences from states of zeros; for one step, from the state that the step before left."""
    steps, batch, hidden = request["steps"], request["batch"], request["hidden"]
    inputs = request.get("input", 28)
    s = network(request["cell"], inputs, hidden, request.get("layers", 1))
    names = [i.name for i in s.get_inputs()]
    feeds = {name: np.zeros((1, batch, hidden), np.float32) for name in names}
    feeds["x"] = np.random.default_rng(2).random((steps, batch, inputs), dtype=np.float32)

    def run():
        _, *states = s.run(None, feeds)
        if steps == 1:
            feeds.update(zip(names[1:], states))

    return timed(run, request.get("quantile"))


def vad(_):
    """A chunk of Silero VAD, whose file is in the folder UNROLL_SILERO."""
    s = session(os.path.join(os.environ["UNROLL_SILERO"], "silero_vad_16k_op15.onnx"))
    feeds = {
        "input": np.random.default_rng(2).normal(0, 0.1, (1, 576)).astype(np.float32),
        "state": np.zeros((2, 1, 128), np.float32),
        "sr": np.array(16000),
    }

    def run():
        _, feeds["state"] = s.run(None, feeds)

    return timed(run)


def version(_):
    return {"version": onnxruntime.__version__}


if __name__ == "__main__":
    serve(read, vad, version)
