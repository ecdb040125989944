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
}
save_file(tensors, "golden.safetensors", metadata={"format": "np", "note": "größer"})
save_file(tensors, "plain.safetensors")
print("safetensors", safetensors.__version__)
