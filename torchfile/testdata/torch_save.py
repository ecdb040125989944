"""Writes files *.pt of torch.save, and beside each the same content in the legacy format, legacy_*.pt, and a file .safetensors with the tensors under the
names that package torchfile gives them.

Made with Python 3.11.2, torch 2.15.0 and safetensors 0.8.0 on amd64. To make the files again:

    python3 -m venv /tmp/torch
    /tmp/torch/bin/pip install torch safetensors
    /tmp/torch/bin/python -B torchfile/testdata/torch_save.py
"""

import os

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))


class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(2, 2)
        self.head = torch.nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


def tensors(value, name=""):
    """Yields the tensors in dicts, lists and tuples, by their names joined with dots."""
    if isinstance(value, torch.Tensor):
        yield name, value.detach().clone(memory_format=torch.contiguous_format)
    elif isinstance(value, (dict, list, tuple)):
        for k, v in value.items() if isinstance(value, dict) else enumerate(value):
            yield from tensors(v, f"{name}.{k}" if name else str(k))


def write(name, value, **options):
    path = os.path.join(HERE, name)
    torch.save(value, path + ".pt", **options)
    torch.save(value, os.path.join(HERE, "legacy_" + name + ".pt"), _use_new_zipfile_serialization=False, **options)
    save_file(dict(tensors(value)), path + ".safetensors")


torch.manual_seed(42)
model = Tagger()
write("state_dict", model.state_dict())
write("protocol5", model.head.state_dict(), pickle_protocol=5)

adam = torch.optim.Adam(model.head.parameters(), lr=0.25)
model(torch.ones(3, 1, 2)).sum().backward()
adam.step()
write("checkpoint", {"model": model.head.state_dict(), "optimizer": adam.state_dict(), "epoch": 3, "best": None, "seed": 2**64 - 1, "low": -(2**40)})

base = torch.arange(24.0)
write("types", {
    "half": base[:3].half(), "bfloat16": base[:3].bfloat16() / 3, "double": base[:2].double() / 3, "long": torch.tensor([-(2**60), 5]),
    "int": torch.tensor([-7], dtype=torch.int32), "short": torch.tensor([-7], dtype=torch.int16), "char": torch.tensor([-7], dtype=torch.int8),
    "byte": torch.tensor([200], dtype=torch.uint8), "bool": torch.tensor([True, False]), "uint16": torch.tensor([65535], dtype=torch.uint16),
    "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "size": torch.Size([2, 3]), "dtype": torch.float32,
})
write("views", {
    "tied": (base, base), "transposed": base.view(2, 3, 4).permute(2, 0, 1), "rows": base.view(6, 4)[2:4], "column": base.view(6, 4)[:, 1],
    "expanded": torch.ones(2, 1).expand(2, 5), "parameter": torch.nn.Parameter(base.view(4, 6).t()),
})
