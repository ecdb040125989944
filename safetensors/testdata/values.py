"""Writes values.safetensors with PyTorch and its safetensors package (made with 1.13.0a0 and 0.8.0), and with NumPy
(1.24.2) unsigned.safetensors, for types that this PyTorch does not have.

    apt-get install python3-torch
    pip install --no-deps --target somewhere safetensors
    PYTHONPATH=somewhere /usr/bin/python3 values.py
"""
import numpy as np
import safetensors.numpy
import torch
from safetensors.torch import save_file

inf, nan = float("inf"), float("nan")


def limits(dtype):
    return [torch.iinfo(dtype).min, -1, 0, 1, torch.iinfo(dtype).max]


# Around where rounding changes: halves between two numbers, subnormal numbers, the largest ones.
given = [0.0, -0.0, 1, -1, 1 / 3, inf, -inf, nan, 2**-24, 2**-25, 3 * 2**-25, 2**-25 * 1.0001, 2**-14, 2**-14 - 2**-25, 65504, 65519.996, 65520, 65536,
         1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-11 + 2**-20, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, 2**-126, 2**-133, 2**-134, 2**-149,
         3.4028234663852886e38, 3.3895313892515355e38, 3.39617752923046e38, 1e10, 1e-10, -65520, -2**-25]
values = torch.tensor(given, dtype=torch.float32)
random = torch.from_numpy(np.random.RandomState(1).standard_normal(120).astype(np.float32)) * torch.from_numpy(
    2.0 ** np.random.RandomState(2).randint(-30, 20, 120)).float()
values = torch.cat([values, random])
numbers = values.nan_to_num(0, inf, -inf)  # PyTorch's bfloat16 of NaN depends on the processor


def pattern(*bits, ints, floats):
    return torch.from_numpy(np.array(bits, dtype=ints).view(ints.replace("u", ""))).view(floats)


wide = values.double() / 3
save_file({
    "f32": values, "f16": values.half(), "bf16": numbers.bfloat16(), "f64": wide, "f64.f32": wide.float(),
    "i8": torch.tensor(limits(torch.int8), dtype=torch.int8), "u8": torch.tensor([0, 1, 255], dtype=torch.uint8),
    "i16": torch.tensor(limits(torch.int16), dtype=torch.int16), "i32": torch.tensor(limits(torch.int32), dtype=torch.int32),
    "i64": torch.tensor(limits(torch.int64), dtype=torch.int64), "bool": torch.tensor([True, False, True]),
    # Zero, the least and the largest subnormal, the least and the largest normal, infinity, NaN with a payload.
    "f16.bits": pattern(0x8000, 0x8001, 0x03FF, 0x0400, 0xFBFF, 0x7C00, 0xFE01, ints="uint16", floats=torch.float16),
    "bf16.bits": pattern(0x8000, 0x8001, 0x007F, 0x0080, 0xFF7F, 0x7F80, 0xFFC1, ints="uint16", floats=torch.bfloat16),
    "f32.bits": pattern(0x80000000, 0x80000001, 0x007FFFFF, 0x00800000, 0xFF7FFFFF, 0x7F800000, 0xFFC00001,
                       ints="uint32", floats=torch.float32),
    "f64.bits": pattern(1 << 63, 1 << 63 | 1, (1 << 52) - 1, 1 << 52, 0xFFEFFFFFFFFFFFFF, 0x7FF << 52, 0xFFF8000000000001,
                       ints="uint64", floats=torch.float64),
    "scalar": torch.tensor(2.5).half(), "empty": torch.zeros(3, 0, dtype=torch.bfloat16),
}, "values.safetensors", metadata={"format": "pt"})
safetensors.numpy.save_file({
    "u16": np.array([0, 1, 2**16 - 1], dtype=np.uint16), "u32": np.array([0, 1, 2**32 - 1], dtype=np.uint32),
    "u64": np.array([[0, 1], [2**63 - 1, 2**63], [2**64 - 2, 2**64 - 1]], dtype=np.uint64),
}, "unsigned.safetensors")
