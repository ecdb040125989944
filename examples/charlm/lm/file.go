package lm

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/safetensors"
)

// format is the entry of a file's metadata that holds the configuration, as JSON.
const format = "unroll.charlm"

// Save writes the model to a file, whole or not at all: a safetensors file with the weights, and the configuration in its
// metadata.
func (m *Model) Save(path string) error {
	config, err := json.Marshal(m.Config)
	if err != nil {
		return err
	}
	return safetensors.Save(path, m.Params, map[string]string{format: string(config)})
}

// Load returns the model of a file that [Model.Save] wrote. Weights with which the model computes no numbers are an error, too.
func Load(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := safetensors.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m, err := fromFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// fromFile returns the model of a file's content.
func fromFile(file *safetensors.File) (*Model, error) {
	text, ok := file.Metadata[format]
	if !ok {
		return nil, fmt.Errorf("lm: no model of characters: the metadata have no %q", format)
	}
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("lm: configuration %q: %w", text, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("lm: configuration %s: %w", text, err)
	}
	found := int64(0)
	for _, t := range file.Tensors {
		found += int64(len(t.Data))
	}
	if want := 2 * c.weights(); found < want { // a weight takes at least 2 bytes; no memory is taken for a file that is too small
		return nil, fmt.Errorf("lm: %d bytes of weights, want at least %d for the configuration %s", found, want, text)
	}
	m, err := New(c, 0)
	if err != nil {
		return nil, err
	}
	if _, err := (safetensors.Loading{}).Apply(file, m.Params); err != nil {
		return nil, err
	}
	if _, err := decode.Argmax(m.NewStream().Step('a')); err != nil {
		return nil, fmt.Errorf("lm: the weights are not usable: %w", err)
	}
	return m, nil
}
