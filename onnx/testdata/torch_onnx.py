"""Writes the files torch_*.onnx of torch.onnx, and beside each a file .safetensors with the state_dict, an input "x" and what
PyTorch computes from it, "y".

Made with Python 3.11.2, torch 2.15.0, onnx 1.23.2, onnxscript 0.7.2 and safetensors 0.8.0 on amd64. To make the files again:

    python3 -m venv /tmp/torch
    /tmp/torch/bin/pip install torch onnx onnxscript safetensors
    /tmp/torch/bin/python -B onnx/testdata/torch_onnx.py

The first word of a name is the exporter: "script" (TorchScript), "unfolded" (the same, leaving constants to nodes) or "dynamo".
"""

import os
import warnings

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
EXPORTERS = {
    "script": dict(dynamo=False, opset_version=17),
    "unfolded": dict(dynamo=False, opset_version=17, do_constant_folding=False),
    "dynamo": dict(dynamo=True, external_data=False, verbose=False),
}


class Recurrent(torch.nn.Module):
    """A recurrent layer, a dense layer and a normalisation."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        self.fc = torch.nn.Linear(rnn.hidden_size * (2 if rnn.bidirectional else 1), 3)
        self.norm = torch.nn.LayerNorm(3, eps=1e-3)

    def forward(self, x):
        return self.norm(self.fc(self.rnn(x)[0]))


class Tokens(torch.nn.Module):
    """An embedding, a convolution over time, and a dense layer without a bias over the last step."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(7, 4)
        self.conv = torch.nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2)
        self.fc = torch.nn.Linear(6, 2, bias=False)

    def forward(self, x):
        y = torch.relu(self.conv(self.embedding(x).permute(1, 2, 0)))
        return self.fc(y[:, :, -1])


def write(name, module, x):
    module.eval()
    with torch.no_grad():
        y = module(x)
    for exporter, options in EXPORTERS.items():
        if exporter == "dynamo" and isinstance(getattr(module, "rnn", None), torch.nn.RNN):
            continue  # it writes no node RNN, but the operations of every step
        path = os.path.join(HERE, "torch_%s_%s" % (exporter, name))
        torch.onnx.export(module, (x,), path + ".onnx", input_names=["x"], output_names=["y"], **options)
        if options["dynamo"]:
            import onnx
            model = onnx.load(path + ".onnx")
            for node in model.graph.node:
                del node.metadata_props[:]  # stack traces with the names of folders
            del model.graph.value_info[:]
            onnx.save(model, path + ".onnx")
    save_file({**{k: v.contiguous() for k, v in module.state_dict().items()}, "x": x, "y": y.contiguous()},
              os.path.join(HERE, "torch_%s.safetensors" % name))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    x = torch.randn(5, 2, 3)
    nn = torch.nn
    write("rnn", Recurrent(nn.RNN(3, 4)), x)
    write("relu", Recurrent(nn.RNN(3, 4, 2, nonlinearity="relu", bidirectional=True)), x)
    write("lstm", Recurrent(nn.LSTM(3, 4, bias=False)), x)
    write("lstm_deep", Recurrent(nn.LSTM(3, 4, 2, bidirectional=True)), x)
    write("gru", Recurrent(nn.GRU(3, 4)), x)
    write("gru_deep", Recurrent(nn.GRU(3, 4, 2, bidirectional=True)), x)
    write("tokens", Tokens(), torch.tensor([[1, 0], [6, 2], [3, 3], [4, 5], [0, 1]]))
