package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/unroll-go/unroll/examples/download"
	"github.com/unroll-go/unroll/onnx"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/vad"
)

// silero is silero_vad_16k.safetensors of silero-vad 6.2.
var silero = download.File{
	Name:   "silero_vad_16k.safetensors",
	Folder: "silero-vad",
	URL:    "https://raw.githubusercontent.com/snakers4/silero-vad/fb7d7c7f5df63235f0afd037d8397593829aeb41/src/silero_vad/data/silero_vad_16k.safetensors",
	SHA256: "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1",
	Size:   1239748,
	Title:  "the weights of Silero VAD (MIT licence)",
	Source: "in the Python package silero-vad 6.2 (pip download silero-vad)",
}

// load reads weights from either of Silero's files.
func load(path string) (*vad.Model, error) {
	model, err := vad.Load(path)
	if !errors.Is(err, safetensors.ErrNotSafetensors) {
		return model, err
	}
	f, open := os.Open(path)
	if open != nil {
		return nil, open
	}
	defer f.Close()
	file, other := onnx.Read(bufio.NewReader(f))
	if other != nil {
		return nil, fmt.Errorf("%s holds no weights: %w; and %w", path, err, other)
	}
	if model, err = vad.From(file.File()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return model, nil
}
