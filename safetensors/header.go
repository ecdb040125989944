package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/unroll-go/unroll/internal/quote"
)

// parser reads the JSON of a header. The format fixes how objects are nested, so the parser needs no recursion and skips
// nothing but white space.
type parser struct {
	text []byte
	at   int // the index of the next byte
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("header, byte %d: %s", p.at, fmt.Sprintf(format, args...))
}

// next skips white space and returns the byte after it without reading that, or 0 at the end.
func (p *parser) next() byte {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return c
		}
	}
	return 0
}

func (p *parser) expect(c byte) error {
	switch got := p.next(); {
	case got == c:
		p.at++
		return nil
	case p.at == len(p.text):
		return p.fail("it ends, want %q", c)
	default:
		return p.fail("found %q, want %q", got, c)
	}
}

// object reads {"key": value, ...} and calls member to read each value.
func (p *parser) object(member func(key []byte) error) error {
	if err := p.expect('{'); err != nil {
		return err
	}
	if p.next() == '}' {
		p.at++
		return nil
	}
	for {
		key, err := p.str()
		if err != nil {
			return err
		}
		if err := p.expect(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		if p.next() != ',' {
			return p.expect('}')
		}
		p.at++
	}
}

// str reads a string. The result shares memory with the header, which is known to be UTF-8.
func (p *parser) str() ([]byte, error) {
	if err := p.expect('"'); err != nil {
		return nil, err
	}
	start, plain := p.at, true
	var s []byte
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case plain && p.at-start > maxString || len(s) > maxString:
			return nil, p.fail("a string over %d bytes", maxString)
		case c == '"':
			p.at++
			if plain {
				return p.text[start : p.at-1], nil
			}
			return s, nil
		case c < 0x20:
			return nil, p.fail("control character %#02x in a string", c)
		case c != '\\':
			if !plain {
				s = append(s, c)
			}
			p.at++
		default:
			if plain {
				s, plain = p.text[start:p.at], false // decoded in place: an escape sequence is never shorter than its character
			}
			r, err := p.escape()
			if err != nil {
				return nil, err
			}
			s = utf8.AppendRune(s, r)
		}
	}
	return nil, p.fail("it ends within a string")
}

// escape reads an escape sequence, or the two of a surrogate pair.
func (p *parser) escape() (rune, error) {
	if p.at+1 >= len(p.text) {
		return 0, p.fail("it ends within a string")
	}
	c := p.text[p.at+1]
	if c != 'u' {
		for i, from := range `"\/bfnrt` {
			if rune(c) == from {
				p.at += 2
				return rune("\"\\/\b\f\n\r\t"[i]), nil
			}
		}
		return 0, p.fail("unknown escape %s", quote.Text(p.text[p.at:p.at+2]))
	}
	first, err := p.hex()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	if p.at+1 < len(p.text) && p.text[p.at] == '\\' && p.text[p.at+1] == 'u' {
		second, err := p.hex()
		if err != nil {
			return 0, err
		}
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, nil
		}
	}
	return 0, p.fail("half of a surrogate pair in a string")
}

// hex reads an escape sequence of \u and four digits.
func (p *parser) hex() (rune, error) {
	if p.at+6 > len(p.text) {
		return 0, p.fail("it ends within a string")
	}
	var r rune
	for _, c := range p.text[p.at+2 : p.at+6] {
		digit := rune(0)
		switch {
		case c >= '0' && c <= '9':
			digit = rune(c - '0')
		case c >= 'a' && c <= 'f':
			digit = rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			digit = rune(c-'A') + 10
		default:
			return 0, p.fail("%q in a \\u escape, want a hexadecimal digit", c)
		}
		r = r<<4 | digit
	}
	p.at += 6
	return r, nil
}

// numbers reads an array of at most len(all) whole numbers that an int can hold, and returns their count.
func (p *parser) numbers(all []int) (count int, err error) {
	if err := p.expect('['); err != nil {
		return 0, err
	}
	if p.next() == ']' {
		p.at++
		return 0, nil
	}
	for {
		n, err := p.number()
		if err != nil {
			return 0, err
		}
		if count == len(all) {
			return 0, p.fail("more than %d numbers", len(all))
		}
		all[count] = n
		count++
		if p.next() != ',' {
			return count, p.expect(']')
		}
		p.at++
	}
}

func (p *parser) number() (int, error) {
	p.next()
	start, n := p.at, uint64(0)
	for ; p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9'; p.at++ {
		digit := uint64(p.text[p.at] - '0')
		if n > (math.MaxInt-digit)/10 {
			return 0, p.fail("a number over %d", math.MaxInt)
		}
		n = 10*n + digit
	}
	switch {
	case start == len(p.text):
		return 0, p.fail("it ends, want a whole number")
	case p.at == start:
		return 0, p.fail("found %q, want a whole number, not negative", p.next())
	case p.text[start] == '0' && p.at > start+1:
		return 0, p.fail("a number that begins with 0")
	case p.at < len(p.text) && (p.text[p.at] == '.' || p.text[p.at] == 'e' || p.text[p.at] == 'E'):
		return 0, p.fail("a fraction or exponent, want a whole number")
	}
	return int(n), nil
}

// parseHeader reads the metadata, and the names, types, shapes and offsets of the tensors. It overwrites parts of text.
func parseHeader(text []byte) (metadata map[string]string, tensors []Tensor, err error) {
	if !utf8.Valid(text) {
		return nil, nil, errors.New("header is not UTF-8")
	}
	const tooMany = "more than %d tensors and entries of metadata"
	p := &parser{text: text}
	// Each tensor has a brace, so this allocates once and not more than the text warrants.
	tensors = make([]Tensor, 0, min(bytes.Count(text, []byte{'{'}), maxTensors))
	err = p.object(func(name []byte) error {
		if string(name) == metadataName {
			if metadata != nil {
				return p.fail("%s twice", metadataName)
			}
			metadata = map[string]string{}
			return p.object(func(key []byte) error {
				if len(tensors)+len(metadata) == maxTensors {
					return p.fail(tooMany, maxTensors)
				}
				if _, twice := metadata[string(key)]; twice {
					return p.fail("%s has %s twice", metadataName, quote.Text(key))
				}
				value, err := p.str()
				metadata[string(key)] = string(value)
				return err
			})
		}
		if len(tensors)+len(metadata) == maxTensors {
			return p.fail(tooMany, maxTensors)
		}
		t, err := p.tensor()
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote.Text(name), err)
		}
		t.Name = string(name)
		tensors = append(tensors, t)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if p.next(); p.at < len(text) {
		return nil, nil, p.fail("found %q after the object", p.next())
	}
	return metadata, tensors, nil
}

// tensor reads the object that describes a tensor: all but its name.
func (p *parser) tensor() (t Tensor, err error) {
	var offsets [2]int
	var dims [maxDims]int
	count := -1
	err = p.object(func(key []byte) (err error) {
		switch {
		case string(key) == "dtype" && t.DType == "":
			var s []byte
			if s, err = p.str(); err != nil {
				return err
			}
			if t.DType = DType(s); t.DType.Bits() == 0 {
				return p.fail("unknown dtype %s", quote.Text(s))
			}
		case string(key) == "shape" && t.Shape == nil:
			n, err := p.numbers(dims[:])
			t.Shape = append(make([]int, 0, n), dims[:n]...)
			return err
		case string(key) == "data_offsets" && count < 0:
			count, err = p.numbers(offsets[:])
		case string(key) == "dtype" || string(key) == "shape" || string(key) == "data_offsets":
			return p.fail("%s twice", key)
		default:
			return p.fail("unknown key %s", quote.Text(key))
		}
		return err
	})
	switch {
	case err != nil:
		return t, err
	case t.DType == "":
		return t, p.fail("dtype is missing")
	case t.Shape == nil:
		return t, p.fail("shape is missing")
	case count != 2:
		return t, p.fail("data_offsets are %v, want two", offsets[:max(count, 0)])
	}
	t.begin, t.end = offsets[0], offsets[1]
	if t.begin > t.end {
		return t, p.fail("data_offsets %v end before they begin", offsets)
	}
	size, ok := t.DType.size(t.Shape)
	if !ok {
		return t, p.fail("%s of shape %v is no whole number of bytes that fits an int", t.DType, t.Shape)
	}
	if size != t.end-t.begin {
		return t, p.fail("data_offsets %v hold %d bytes, but %s of shape %v has %d", offsets, t.end-t.begin, t.DType, t.Shape, size)
	}
	return t, nil
}
