"""Writes the weights of a Keras 3 model into a .npz that package npy reads, in the names and layouts of PyTorch and of this library.

    python3 keras_to_npz.py model.keras weights.npz

or, in a program that has the model: keras_to_npz.save(model, "weights.npz"). A weight is called by the name of its layer in Keras and
a name of PyTorch's, such as "lstm_1.weight_ih_l0", for a layer that is made in params.In("lstm_1").

    layer               Keras                                   here
    Dense               kernel [in,out]                         weight [out,in]
    Conv1D              kernel [width,in,out]                   weight [out,in,width]
    Embedding           embeddings [V,F]                        weight [V,F]
    LayerNormalization  gamma, beta [F]                         weight, bias [F]; Keras' epsilon is 1e-3, LayerNorm.Eps 1e-5
    SimpleRNN           kernel [in,H], recurrent_kernel [H,H]   weight_ih_l0 [H,in], weight_hh_l0 [H,H]
                        bias [H]                                bias_ih_l0 [H]; bias_hh_l0 is zeros
    LSTM                the same, 4H for the gates i, f, c, o   the same, in this order
    GRU                 the same, 3H for the gates z, r, h      the same, in the order r, z, n
                        bias [2,3H] with reset_after            bias_ih_l0 and bias_hh_l0 [3H]
                        bias [3H] without                       bias_ih_l0 [3H]; a layer with GRUConfig.ResetBefore
    Bidirectional       a forward and a backward layer          the names of the backward layer end in _reverse

A layer without a bias has none here, either. Layers with other weights are an error, as are layers within Sequential or Model layers: save
those by themselves. What is no weight (activations, epsilon, strides) is not written.
"""

import sys

import keras
import numpy as np


def recurrent(layer, suffix):
    """Returns the weights of SimpleRNN, LSTM or GRU by their names."""
    cell = layer.cell

    def ordered(w):  # puts the gates, along the last dimension, in PyTorch's order
        if isinstance(layer, keras.layers.GRU):
            z, r, h = np.split(w, 3, axis=-1)
            return np.concatenate([r, z, h], axis=-1)
        return w

    found = {
        "weight_ih_l0" + suffix: ordered(np.asarray(cell.kernel)).T,
        "weight_hh_l0" + suffix: ordered(np.asarray(cell.recurrent_kernel)).T,
    }
    if layer.use_bias:
        bias = ordered(np.asarray(cell.bias))
        if bias.ndim == 1:
            bias = np.stack([bias, np.zeros_like(bias)])
        found["bias_ih_l0" + suffix], found["bias_hh_l0" + suffix] = bias
    return found


def convert(layer):
    """Returns the weights of a layer by their names."""
    found = {}
    if isinstance(layer, keras.layers.Bidirectional):
        return recurrent(layer.forward_layer, "") | recurrent(layer.backward_layer, "_reverse")
    if isinstance(layer, (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU)):
        return recurrent(layer, "")
    if isinstance(layer, (keras.layers.Dense, keras.layers.Conv1D)):
        found["weight"] = np.asarray(layer.kernel).T  # all dimensions in reverse order
        if layer.use_bias:
            found["bias"] = np.asarray(layer.bias)
    elif isinstance(layer, keras.layers.Embedding):
        found["weight"] = np.asarray(layer.embeddings)
    elif isinstance(layer, keras.layers.LayerNormalization) and layer.scale and layer.center:
        found["weight"], found["bias"] = np.asarray(layer.gamma), np.asarray(layer.beta)
    elif layer.weights:
        raise ValueError(f"layer {layer.name}: no names are known for the weights of {type(layer).__name__}")
    return found


def weights(model):
    """Returns the weights of a model by their names."""
    return {f"{layer.name}.{name}": w for layer in model.layers for name, w in convert(layer).items()}


def save(model, path):
    """Writes the weights of a model to a .npz."""
    np.savez(path, **weights(model))


if __name__ == "__main__":
    save(keras.models.load_model(sys.argv[1], compile=False), sys.argv[2])
