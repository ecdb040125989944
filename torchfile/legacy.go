package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
)

// legacyMagic and legacyVersion are what the first two pickles of a legacy file make (torch/serialization.py).
var (
	legacyMagic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)
	legacyVersion  = big.NewInt(1001)
)

// readLegacy reads a file in the format before PyTorch 1.6: five pickles, which make a number that marks the format, its version, the properties of the
// computer, the content, and the keys of the storages; then, in the order of the keys, the number of elements of each storage and the elements.
func readLegacy(r io.ReaderAt, size int64) (*safetensors.File, error) {
	if int64(int(size)) != size {
		return nil, fmt.Errorf("%d bytes are too many for this computer", size)
	}
	var last [1]byte
	if n, err := r.ReadAt(last[:], size-1); n == 0 { // before memory is taken for bytes that are not there
		return nil, fmt.Errorf("its last byte, number %d: %w", size-1, err)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), data); err != nil {
		return nil, fmt.Errorf("reading its bytes: %w", err)
	}
	text := string(data[:min(len(data), maxPickle)])
	var values [5]any
	var stored []*storage
	at := 0
	for i := range values {
		value, s, rest, err := unpickle(text[at:])
		if err != nil {
			return nil, fmt.Errorf("pickle %d at byte %d: %w", i+1, at, err)
		}
		values[i], stored, at = value, append(stored, s...), len(text)-len(rest)
		if i == 0 && !equal(value, legacyMagic) {
			return nil, errors.New("a pickle of Python, but not one that torch.save wrote")
		}
	}
	if !equal(values[1], legacyVersion) {
		return nil, errors.New("a version of the format before PyTorch 1.6 that is not 1001")
	}
	if !littleEndian(values[2]) {
		return nil, errors.New("the byte order is not little, or not told")
	}
	a := newBudget(size)
	var err error
	if a.storages, err = legacyStorages(data[at:], values[4], stored); err != nil {
		return nil, err
	}
	return flatten(values[3], a)
}

func equal(v any, n *big.Int) bool {
	got, ok := v.(*big.Int)
	return ok && got.Cmp(n) == 0
}

// littleEndian reports whether the properties of a computer say that it stores the low byte first.
func littleEndian(properties any) bool {
	d, ok := properties.(*dict)
	for i := 0; ok && i < len(d.items); i += 2 {
		if d.items[i] == "little_endian" {
			return d.items[i+1] == true
		}
	}
	return false
}

// legacyStorages returns the elements of the storages, which data consists of.
func legacyStorages(data []byte, keys any, stored []*storage) (map[string][]byte, error) {
	all, ok := keys.(*list)
	if !ok {
		return nil, fmt.Errorf("the keys of the storages are %s, want a list", kind(keys))
	}
	byKey := map[string]*storage{}
	for _, s := range stored {
		if other := byKey[s.key]; other != nil && *other != *s {
			return nil, fmt.Errorf("storage %s has two types or sizes", quote.Name(s.key))
		}
		byKey[s.key] = s
	}
	contents := map[string][]byte{}
	for _, k := range all.items {
		key, ok := k.(string)
		s := byKey[key]
		if !ok || s == nil || contents[key] != nil {
			return nil, fmt.Errorf("storage %s, %s, is in the list of storages twice or of no tensor", quote.Name(key), kind(k))
		}
		if len(data) < 8 || binary.LittleEndian.Uint64(data) != uint64(s.size) || s.size > (len(data)-8)/s.unit() {
			return nil, fmt.Errorf("storage %s of %d elements is not in the %d bytes that are left", quote.Name(key), s.size, len(data))
		}
		n := 8 + s.size*s.unit()
		contents[key], data = data[8:n], data[n:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes after the last storage", len(data))
	}
	return contents, nil
}
