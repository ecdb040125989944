"""Writes keras.npz, the weights of a Keras model, and keras_golden.npz with an input "x" and what Keras computes from it, "y", batch first.

Made with Python 3.11.2, tensorflow-cpu 2.21.0, keras 3.15.1 on amd64. To make the files again:

    python3 -m venv /tmp/keras
    /tmp/keras/bin/pip install tensorflow-cpu
    /tmp/keras/bin/python -B dataset/npy/testdata/keras_model.py
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import keras
import numpy as np

import keras_to_npz

if __name__ == "__main__":
    layers = keras.layers
    x = keras.Input((9,), dtype="int32")
    y = layers.Embedding(11, 3, name="embedding")(x)
    y = layers.SimpleRNN(4, return_sequences=True, name="simple")(y)
    y = layers.LSTM(5, return_sequences=True, name="lstm")(y)
    y = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(y)
    y = layers.GRU(4, return_sequences=True, reset_after=False, name="before")(y)
    y = layers.LSTM(4, return_sequences=True, use_bias=False, name="nobias")(y)
    y = layers.LayerNormalization(name="norm")(y)
    y = layers.Conv1D(5, 3, strides=2, activation="relu", name="conv")(y)
    y = layers.Dense(2, name="dense")(y)
    model = keras.Model(x, y)
    draw = np.random.RandomState(1)
    model.set_weights([draw.uniform(-0.8, 0.8, w.shape) for w in model.get_weights()])
    keras_to_npz.save(model, os.path.join(HERE, "keras.npz"))
    x = draw.randint(0, 11, (2, 9))
    np.savez(os.path.join(HERE, "keras_golden.npz"), x=x, y=model.predict(x, verbose=0))
