"""Checks the models of a folder with ONNX' checker and runs them in ONNX Runtime: run.py FOLDER.

Beside each NAME.onnx are files NAME.N.safetensors with the tensors "in.NAME" and "out.NAME" of a run. It prints a JSON object: for each
of these files the largest difference of an output from what ONNX Runtime computes.
"""

import glob
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime

TYPES = {"F32": np.float32, "I32": np.int32, "I64": np.int64}


def tensors(path):
    data = open(path, "rb").read()
    size = int.from_bytes(data[:8], "little")
    for name, t in json.loads(data[8:8 + size]).items():
        begin, end = t["data_offsets"]
        yield name, np.frombuffer(data[8 + size + begin:8 + size + end], TYPES[t["dtype"]]).reshape(t["shape"])


if __name__ == "__main__":
    worst = {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 2  # warnings: a model should cause none
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.onnx"))):
        onnx.checker.check_model(path, full_check=True)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for run in sorted(glob.glob(path[:-len("onnx")] + "*.safetensors")):
            values = dict(tensors(run))
            feeds = {name[3:]: v for name, v in values.items() if name.startswith("in.")}
            names = [o.name for o in session.get_outputs()]
            assert sorted(names) == sorted(name[4:] for name in values if name.startswith("out.")), names
            away = 0.0
            for name, got in zip(names, session.run(names, feeds)):
                want = values["out." + name]
                assert got.shape == want.shape, (run, name, got.shape, want.shape)
                away = max(away, float(np.abs(got - want).max(initial=0)))
            worst[os.path.basename(run)] = away
    json.dump(worst, sys.stdout)
