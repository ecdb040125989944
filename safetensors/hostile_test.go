package safetensors

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// isShort asserts that an error is short, and that its text has nothing that a terminal acts upon.
func isShort(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	text := err.Error()
	assert.LessOrEqual(t, len(text), 40_000, "%.200q", text)
	for _, r := range text {
		if !unicode.IsPrint(r) {
			t.Errorf("%q in %.200q", r, text)
			break
		}
	}
}

// TestErrorsAreShort: whatever a file holds, an error quotes it, and cuts it.
func TestErrorsAreShort(t *testing.T) {
	evil := strings.Repeat(`\u001b[2J\u202e`, 10_000)
	const good = `"dtype":"U8","shape":[0],"data_offsets":[0,0]`
	for name, header := range map[string]string{
		"dtype":           `{"a":{"dtype":"` + evil + `"}}`,
		"key of a tensor": `{"a":{"` + evil + `":1}}`,
		"tensor twice":    `{"` + evil + `":{` + good + `},"` + evil + `":{` + good + `}}`,
		"hole":            `{"` + evil + `":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`,
		"overlap":         `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"` + evil + `":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`,
		"shape":           `{"` + evil + `":{"dtype":"U8","shape":[1],"data_offsets":[0,0]}}`,
		"metadata twice":  `{"__metadata__":{"` + evil + `":"","` + evil + `":""}}`,
		"unknown escape":  "{\"\\\u009b2J",
		"control escape":  "{\"\\\x1b[2J",
		"a byte of UTF-8": "{é",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(file(header, 0)))
			isShort(t, err)
		})
	}
}

// TestErrorsTellTwentyMismatches: a file of thousands of tensors, and a model of thousands of weights.
func TestErrorsTellTwentyMismatches(t *testing.T) {
	var here, there []Tensor
	into := map[string]*tensor.Tensor{}
	p := autograd.NewParams(1)
	for i := range 1000 {
		name := fmt.Sprintf("w%04d", i)
		here = append(here, filled(name, 1, 3))
		there = append(there, filled(name+strings.Repeat("\x1b", 1000), 1))
		into[name] = tensor.New(2)
		p.New(name, autograd.Zeros, 2)
	}
	list := func(count int, separator, format string) (text string) {
		for i := range count {
			text += fmt.Sprintf(format, i) + separator
		}
		return text
	}
	const twenty = 20
	path := writeFile(t, here...)
	for _, load := range []func() error{
		func() error { _, err := Load(path, p); return err },
		func() error { _, err := LoadTensors(path, into); return err },
		func() error { _, err := Loading{Partial: true}.Load(path, p); return err },
	} {
		assert.EqualError(t, load(), path+" does not fit: "+list(twenty, "; ", "w%04d: shape [3] in the file, want [2]")+"and 980 more")
	}

	path = writeFile(t, there...)
	for _, load := range []func() error{
		func() error { _, err := Load(path, p); return err },
		func() error { _, err := LoadTensors(path, into); return err },
	} {
		err := load()
		isShort(t, err)
		assert.ErrorContains(t, err, path+" does not fit: missing in the file: "+list(twenty, ", ", "w%04d")+"and 980 more; in the file alone: \"w0000")
		assert.True(t, strings.HasSuffix(err.Error(), ", and 980 more"), "%v", err)
	}

	_, err := Loading{Partial: true, Rename: func(string) string { return strings.Repeat("\x1b", 5000) }}.Load(path, p)
	isShort(t, err)
	_, err = Loading{Prefix: "none."}.Load(path, p)
	isShort(t, err)
	var except []string
	for i := range 1000 {
		except = append(except, fmt.Sprintf("e%04d", i))
	}
	_, err = Loading{Partial: true, Except: except}.Load(path, p)
	isShort(t, err)
	assert.True(t, strings.HasSuffix(err.Error(), "; and 980 more"), "%v", err)
}
