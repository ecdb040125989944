"""What pytorch.py and onnx_runtime.py share: how the numbers of a case are drawn and written."""

import json
import os
import zlib

import numpy as np

DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata")


class Draw:
    """Draws float64 arrays of values that float32 holds exactly; the seed is a hash of a case's name.

    With bits, the values are multiples of 2**-bits, which are short to write.
    """

    def __init__(self, name, bits=None):
        self.random = np.random.RandomState(zlib.crc32(name.encode()))
        self.bits = bits

    def uniform(self, *shape, limit=1.0):
        values = self.random.uniform(-limit, limit, shape)
        if self.bits:
            values = np.ldexp(np.rint(np.ldexp(values, self.bits)), -self.bits)
        return values.astype(np.float32).astype(np.float64)


def write(name, about, given, computed, digits=12, **config):
    """Writes testdata/name.json: the arrays of given in full, those of computed with so many digits, a line each."""
    lines = []
    for arrays, form in (given, "{!r}"), (computed, "{:.%dg}" % digits):
        for key, v in arrays.items():
            v = np.asarray(v, dtype=np.float64) + 0.0  # and no negative zeros
            data = ",".join(form.format(n) for n in v.flatten().tolist())
            lines.append('"%s": {"shape": %s, "data": [%s]}' % (key, json.dumps(list(v.shape)), data))
    with open(os.path.join(DIR, name + ".json"), "w") as f:
        f.write('{\n"about": %s,\n"config": %s,\n"tensors": {\n%s\n}\n}\n'
                % (json.dumps(about), json.dumps(config), ",\n".join(lines)))
