package npy

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/quote"
)

// parser reads the dictionary of a header. NumPy evaluates it as Python; what NumPy itself writes needs texts without escape
// sequences, True and False, and a tuple of whole numbers.
type parser struct {
	text []byte
	at   int // the index of the next byte

	descr   string
	fortran bool
	shape   []int
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

// skip reads the byte c if it comes next.
func (p *parser) skip(c byte) bool {
	if p.next() != c || p.at == len(p.text) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(c byte) error {
	switch {
	case p.skip(c):
		return nil
	case p.at == len(p.text):
		return fmt.Errorf("it ends, want %q", c)
	}
	return fmt.Errorf("found %q, want %q", p.next(), c)
}

// header reads the whole text.
func (p *parser) header() error {
	if err := p.expect('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for !p.skip('}') {
		key, err := p.str()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("%s twice", quote.Text(key))
		}
		seen[key] = true
		if err := p.expect(':'); err != nil {
			return err
		}
		switch key {
		case "descr":
			if p.next() == '[' {
				return errors.New("an array of records, want one of numbers; write its fields as arrays")
			}
			p.descr, err = p.str()
		case "fortran_order":
			p.fortran, err = p.truth()
		case "shape":
			p.shape, err = p.tuple()
		default:
			err = fmt.Errorf("unknown key %s", quote.Text(key))
		}
		if err != nil {
			return err
		}
		if !p.skip(',') {
			if err := p.expect('}'); err != nil {
				return err
			}
			break
		}
	}
	if len(seen) != 3 {
		return errors.New("one of descr, fortran_order and shape is missing")
	}
	if p.next(); p.at < len(p.text) {
		return fmt.Errorf("found %q after the dictionary", p.text[p.at])
	}
	return nil
}

// str reads a text in quotes of either kind.
func (p *parser) str() (string, error) {
	q := p.next()
	if q != '\'' && q != '"' {
		return "", p.expect('\'')
	}
	p.at++
	end := bytes.IndexByte(p.text[p.at:], q)
	if end < 0 {
		return "", errors.New("it ends within a text")
	}
	s := p.text[p.at : p.at+end]
	if bytes.IndexByte(s, '\\') >= 0 {
		return "", fmt.Errorf("an escape sequence in %s", quote.Text(s))
	}
	p.at += end + 1
	return string(s), nil
}

func (p *parser) truth() (bool, error) {
	p.next()
	for word, value := range map[string]bool{"True": true, "False": false} {
		if bytes.HasPrefix(p.text[p.at:], []byte(word)) {
			p.at += len(word)
			return value, nil
		}
	}
	return false, errors.New("want True or False")
}

// tuple reads a tuple of whole numbers, which are not negative. The L of Python 2 may end a number.
func (p *parser) tuple() ([]int, error) {
	if err := p.expect('('); err != nil {
		return nil, err
	}
	shape := []int{}
	for !p.skip(')') {
		if len(shape) == maxDims {
			return nil, fmt.Errorf("more than %d dimensions", maxDims)
		}
		p.next()
		start, n := p.at, 0
		for ; p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9'; p.at++ {
			digit := int(p.text[p.at] - '0')
			if n > (math.MaxInt-digit)/10 {
				return nil, fmt.Errorf("a dimension over %d", math.MaxInt)
			}
			n = 10*n + digit
		}
		switch {
		case p.at == len(p.text):
			return nil, errors.New("it ends within the shape")
		case p.at == start:
			return nil, fmt.Errorf("found %q in the shape, want whole numbers that are not negative", p.text[p.at])
		}
		shape = append(shape, n)
		p.skip('L')
		if !p.skip(',') {
			if err := p.expect(')'); err != nil {
				return nil, err
			}
			break
		}
	}
	return shape, nil
}
