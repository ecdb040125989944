"""PyTorch's side of TestPyTorch: trains the model of a file on the windows of another, and saves it.

    python compare.py DIR UPDATES

DIR/start.safetensors is the model before training, DIR/windows.safetensors has the characters, the next characters and the
beginnings of documents of each window, each [windows,T,B], and the learning rates. The result is DIR/pytorch.safetensors. A line of
JSON tells the losses, the seconds of training, the most memory in bytes, and the seconds of one character when one text is written.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

TYPES = {"F32": torch.float32, "I32": torch.int32, "BOOL": torch.bool}


def read(path):
    """The metadata and the tensors of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    view = memoryview(data)
    return metadata, {
        name: torch.frombuffer(view[slice(*t["data_offsets"])], dtype=TYPES[t["dtype"]]).view(t["shape"]) for name, t in header.items()
    }


def write(path, metadata, tensors):
    header, data = {"__metadata__": metadata}, b""
    for name, t in tensors.items():
        raw = t.detach().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        features, hidden, layers = config["embedding"], config["hidden"], config["layers"]
        self.dropout = nn.Dropout(config["dropout"])
        self.embedding = nn.Embedding(256, features)
        cell = {"lstm": nn.LSTM, "gru": nn.GRU}[config["cell"]]
        self.rnn = cell(features, hidden, layers, dropout=config["dropout"])
        width = hidden
        self.project = None
        if config["tied"] and features != hidden:
            self.project = nn.Linear(hidden, features, bias=False)
            width = features
        self.head = nn.Linear(width, 256)
        if config["tied"]:
            self.head.weight = self.embedding.weight

    def forward(self, ids, state, begins=None):
        """The logits of a window [T,B]. The state is cut where documents begin: between these steps nn.LSTM runs at once."""
        x = self.dropout(self.embedding(ids))
        cuts = [] if begins is None else begins.any(1).nonzero().flatten().tolist()
        parts, at = [], 0
        for cut in cuts + [len(ids)]:
            if cut > at:
                y, state = self.rnn(x[at:cut], state)
                parts.append(y)
            if cut < len(ids):
                keep = 1 - begins[cut].float()[:, None]
                state = tuple(s * keep for s in state) if isinstance(state, tuple) else state if state is None else state * keep
            at = cut
        y = self.dropout(parts[0] if len(parts) == 1 else torch.cat(parts))
        return self.head(y if self.project is None else self.project(y)), state


def detached(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def train(model, data, updates):
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids, labels, begins = data["ids"], data["labels"].long(), data["begins"]
    losses, state = [], None
    start = time.perf_counter()
    for i in range(updates):
        logits, state = model(ids[i], state, begins[i] if i > 0 else None)
        state = detached(state)
        loss = F.cross_entropy(logits.flatten(0, 1), labels[i].flatten())
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.param_groups[0]["lr"] = data["rates"][i].item()
        adam.step()
        losses.append(loss.item())
    return losses, time.perf_counter() - start


@torch.inference_mode()
def stream(model, steps=500):
    """The seconds of one character of a single text, with the fastest number of threads."""
    best, model = float("inf"), model.eval()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        state, character = None, torch.tensor([[10]])
        for i in range(2 * steps):
            if i == steps:
                start = time.perf_counter()
            logits, state = model(character, state)
            character = torch.multinomial(torch.softmax(logits[0] / 0.7, -1), 1)
        best = min(best, (time.perf_counter() - start) / steps)
    return best


def main(folder, updates):
    torch.set_num_threads(2)
    torch.set_flush_denormal(True)
    metadata, weights = read(folder + "/start.safetensors")
    model = Model(json.loads(metadata["unroll.charlm"]))
    model.load_state_dict(weights)
    losses, seconds = train(model, read(folder + "/windows.safetensors")[1], updates)
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write(folder + "/pytorch.safetensors", metadata, model.state_dict())
    print(json.dumps({"losses": losses, "seconds": seconds, "memory": memory, "step": stream(model)}))


main(sys.argv[1], int(sys.argv[2]))
