"""Writes small files of the formats that Read recognises but does not read, into this folder.

Written with PyTorch 1.13.1, NumPy 2.4.6, h5py 3.16.0 and onnx 1.23.2.
"""
import h5py
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

m = torch.nn.Linear(2, 1)
torch.save(m.state_dict(), "model.pt")
torch.save(m.state_dict(), "legacy.pt", _use_new_zipfile_serialization=False)
torch.jit.save(torch.jit.script(m), "script.pt")

np.savez("m.npz", w=np.zeros((2, 3), "f4"))
np.save("m.npy", np.zeros(3, "f4"))
with h5py.File("m.h5", "w") as f:
    f["w"] = np.zeros(3, "f4")

x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
onnx.save(helper.make_model(graph), "m.onnx")
