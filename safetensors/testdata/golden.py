"""Writes golden.safetensors and plain.safetensors with the safetensors package (made with 0.8.0).

    pip install safetensors numpy
    python3 golden.py
"""
import numpy as np
import safetensors
from safetensors.numpy import save_file

tensors = {
    "weight_ih_l0": np.arange(6, dtype=np.float32).reshape(2, 3) / 2,
    "scalar": np.array(7, dtype=np.float32),
    "empty": np.zeros((0, 4), dtype=np.float32),
    "double": np.array([1.5], dtype=np.float64),
    "half": np.array([1, -2, 3], dtype=np.float16),
    "bytes": np.array([1, 2, 3], dtype=np.uint8),
    # Types of one size, named against the order in which they are written.
    "a_bool": np.array([True, False]),
    "c_int8": np.array([-1], dtype=np.int8),
    "a_int16": np.array([-2], dtype=np.int16),
    "b_uint16": np.array([3], dtype=np.uint16),
    "a_int32": np.array([-4], dtype=np.int32),
    "b_uint32": np.array([5], dtype=np.uint32),
    "a_complex": np.array([1 + 2j], dtype=np.complex64),
    "x_int64": np.array([-6], dtype=np.int64),
    "y_uint64": np.array([7], dtype=np.uint64),
}
save_file(tensors, "golden.safetensors", metadata={"format": "np", "note": "größer"})
save_file(tensors, "plain.safetensors")
print("safetensors", safetensors.__version__)
