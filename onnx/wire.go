package onnx

import (
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	bits   uint64 // the value, but for
	bytes  []byte // the value of a field of bytes, part of the message
}

// fields calls each for the fields of a message, in order. A field whose number is not among repeated and that is there twice is
// an error. Readers of protocol buffers skip numbers that they do not know, and so does each.
func fields(message []byte, repeated []protowire.Number, each func(field) error) error {
	var seen, many uint64 // sets of numbers below 64, as all of ONNX are
	for _, n := range repeated {
		many |= 1 << n
	}
	for at := 0; at < len(message); {
		var f field
		var n int
		f.number, f.kind, n = protowire.ConsumeTag(message[at:])
		if n < 0 {
			return fmt.Errorf("byte %d: not the beginning of a field", at)
		}
		value := message[at+n:]
		size := 0
		switch f.kind {
		case protowire.VarintType:
			f.bits, size = protowire.ConsumeVarint(value)
		case protowire.Fixed64Type:
			f.bits, size = protowire.ConsumeFixed64(value)
		case protowire.Fixed32Type:
			var narrow uint32
			narrow, size = protowire.ConsumeFixed32(value)
			f.bits = uint64(narrow)
		case protowire.BytesType:
			f.bytes, size = protowire.ConsumeBytes(value)
		default:
			return fmt.Errorf("byte %d: field %d is a group, which ONNX does not have", at, f.number)
		}
		if size < 0 {
			return fmt.Errorf("byte %d: field %d is cut short or too long", at, f.number)
		}
		at += n + size
		if f.number < 64 {
			if bit := uint64(1) << f.number; seen&bit&^many != 0 {
				return fmt.Errorf("byte %d: field %d twice", at, f.number)
			} else {
				seen |= bit
			}
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// count returns how often a message has each of some fields. Slices are made of that size, because growing them would take
// several times the memory.
func count(message []byte, numbers ...protowire.Number) (counts [32]int) {
	fields(message, numbers, func(f field) error {
		if int(f.number) < len(counts) {
			counts[f.number]++
		}
		return nil
	})
	return counts
}

func (f field) is(kind protowire.Type) error {
	if f.kind != kind {
		return fmt.Errorf("field %d has wire type %d, want %d", f.number, f.kind, kind)
	}
	return nil
}

// message returns the bytes of a message or of a field of bytes.
func (f field) message() ([]byte, error) { return f.bytes, f.is(protowire.BytesType) }

// text returns a string, which must be UTF-8.
func (f field) text() (string, error) {
	if err := f.is(protowire.BytesType); err != nil {
		return "", err
	}
	if !utf8.Valid(f.bytes) {
		return "", fmt.Errorf("field %d is not UTF-8", f.number)
	}
	return string(f.bytes), nil
}

func (f field) int() (int64, error) { return int64(f.bits), f.is(protowire.VarintType) }

func (f field) float() (float32, error) {
	return math.Float32frombits(uint32(f.bits)), f.is(protowire.Fixed32Type)
}

// numbers appends the numbers of a repeated field: one, or all of them if they are packed.
func (f field) numbers(to []uint64, kind protowire.Type) ([]uint64, error) {
	if f.kind == kind {
		return append(to, f.bits), nil
	}
	if err := f.is(protowire.BytesType); err != nil {
		return nil, err
	}
	if to == nil {
		to = make([]uint64, 0, f.packed(kind))
	}
	for rest := f.bytes; len(rest) > 0; {
		var v uint64
		var n int
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(rest)
		case protowire.Fixed32Type:
			var narrow uint32
			narrow, n = protowire.ConsumeFixed32(rest)
			v = uint64(narrow)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(rest)
		}
		if n < 0 {
			return nil, fmt.Errorf("field %d: a number is cut short or too long", f.number)
		}
		to, rest = append(to, v), rest[n:]
	}
	return to, nil
}

// packed returns how many numbers a packed field has.
func (f field) packed(kind protowire.Type) int {
	switch kind {
	case protowire.Fixed32Type:
		return len(f.bytes) / 4
	case protowire.Fixed64Type:
		return len(f.bytes) / 8
	}
	n := 0
	for _, b := range f.bytes {
		n += int(b>>7 ^ 1) // the last byte of a varint
	}
	return n
}

// message is a message that is being written: fields one after the other.
type message []byte

func (m message) bytes(number protowire.Number, value ...byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), value)
}

func (m message) text(number protowire.Number, value string) message {
	return protowire.AppendString(protowire.AppendTag(m, number, protowire.BytesType), value)
}

func (m message) int(number protowire.Number, value int64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), uint64(value))
}

func (m message) float(number protowire.Number, value float32) message {
	return protowire.AppendFixed32(protowire.AppendTag(m, number, protowire.Fixed32Type), math.Float32bits(value))
}
