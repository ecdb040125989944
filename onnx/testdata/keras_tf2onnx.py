"""Writes keras.onnx, a Keras model converted by tf2onnx, and keras.safetensors with an input "x" and what Keras computes from it, "y",
both batch first.

Made with Python 3.11.2, tensorflow-cpu 2.21.0, keras 3.15.1 and tf2onnx 1.17.0 on amd64. To make the files again:

    python3 -m venv /tmp/keras
    /tmp/keras/bin/pip install tensorflow-cpu tf2onnx safetensors
    /tmp/keras/bin/python -B onnx/testdata/keras_tf2onnx.py

Keras' GRU and SimpleRNN become loops, not the nodes GRU and RNN.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))

if __name__ == "__main__":
    x = keras.Input((7, 3))
    y = keras.layers.LSTM(4, return_sequences=True)(x)
    y = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))(y)
    y = keras.layers.Conv1D(5, 3, strides=2, activation="relu")(y)
    y = keras.layers.Dense(2)(y)
    model = keras.Model(x, y)
    draw = np.random.RandomState(1)
    model.set_weights([draw.uniform(-0.5, 0.5, w.shape) for w in model.get_weights()])
    signature = [tf.TensorSpec((None, 7, 3), tf.float32, name="x")]
    run = tf.function(lambda x: model(x, training=False), input_signature=signature)
    tf2onnx.convert.from_function(run, input_signature=signature, opset=17, output_path=os.path.join(HERE, "keras.onnx"))
    x = draw.uniform(-1, 1, (2, 7, 3)).astype(np.float32)
    save_file({"x": x, "y": run(x).numpy()}, os.path.join(HERE, "keras.safetensors"))
