package train

import (
	"io"

	"github.com/unroll-go/unroll/safetensors"
)

// WithChecksum gives f the checksum of a checkpoint.
func WithChecksum(f *safetensors.File) error {
	delete(f.Metadata, checksumKey)
	sum, err := checksum(f)
	if err == nil {
		f.Metadata[checksumKey] = sum
	}
	return err
}

// SaveTo is Save into memory.
func (c Checkpoint) SaveTo(w io.Writer) error {
	f, err := c.snapshot()
	if err == nil {
		err = WithChecksum(f)
	}
	if err == nil {
		err = safetensors.Write(w, f)
	}
	return err
}

// LoadFrom is Load from memory.
func (c Checkpoint) LoadFrom(r io.Reader) error { return c.load(r, "file") }

// Copy copies all parts, as Save does before it writes.
func (c Checkpoint) Copy() error {
	_, err := c.snapshot()
	return err
}

// Slabs returns the number of gradients that the step keeps beside their sum.
func (s *Step) Slabs() int { return len(s.sum.slabs) }
