"""Writes the files of this folder: python3 files.py

Element i of an array, counted row-major, is i-3 for signed numbers, 0.75*i-3 for floats, 7*i for unsigned ones and i%3==0 for bool.
It was run with NumPy 2.4.6.
"""
import numpy as np


def make(kind, *shape):
    i = np.arange(int(np.prod(shape)))
    values = {"i": i - 3, "f": 0.75 * i - 3, "u": 7 * i, "b": i % 3 == 0}[np.dtype(kind).kind]
    return values.astype(kind).reshape(shape)


arrays = {}
for kind in ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]:
    for order in "<>":
        arrays[f"{kind}{order}/C"] = make(order + kind, 2, 3, 4)
        arrays[f"{kind}{order}/F"] = np.asfortranarray(make(order + kind, 2, 3, 4))
arrays["scalar"] = make("f4")
arrays["vector"] = make("f4", 100)
arrays["nothing"] = make("f4", 3, 0, 2)
arrays["matrix"] = np.asfortranarray(make("f4", 5, 2))
arrays["ones"] = np.asfortranarray(make("f4", 1, 2, 1, 3, 1, 2))
np.savez("types.npz", **arrays)
np.savez_compressed("packed.npz", **arrays)

for version in (1, 2, 3):
    with open(f"version{version}.npy", "wb") as f:
        np.lib.format.write_array(f, make("f4", 2, 3), version=(version, 0))

ragged = np.empty(2, object)
ragged[:] = [[1.0], [2.0, 3.0]]
np.save("refused_object.npy", ragged)
np.save("refused_record.npy", np.zeros(2, [("a", "f4"), ("b", "i4")]))
np.save("refused_text.npy", np.array(["a", "bc"]))
np.save("refused_complex.npy", np.zeros(2, np.complex64))
np.save("refused_date.npy", np.array(["2026-01-01"], "datetime64[D]"))

lengths = np.array([3, 1])
x = np.zeros((2, 3, 2), np.float32)
for row, length in enumerate(lengths):
    x[row, :length] = row + 1
np.savez("sequences.npz", x=x, y=np.array([1, 0]), steps=np.array([[1, 2, 3], [4, 0, 0]], np.uint8), target=np.array([0.5, 1.5]), lengths=lengths)
