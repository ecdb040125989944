package bounded

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// MostColumns is the number of columns that a record of a table in text may have. Package encoding/csv takes some 150
// bytes for each field of a record, which may be a single comma.
const MostColumns = 100_000

// Columns returns a reader of the text of r, comma-separated values (RFC 4180) with the given comma. Its Read returns an
// error when a record begins to have more than [MostColumns] columns.
func Columns(r io.Reader, comma rune) io.Reader {
	return &columns{r: r, comma: utf8.AppendRune(nil, comma), line: 1}
}

type columns struct {
	r      io.Reader
	comma  []byte // in UTF-8, which finds it wherever its bytes are
	begun  int    // bytes of comma that have been read
	quoted bool   // within quotes, where neither commas nor line breaks end anything
	commas int    // in the present record
	line   int    // counted from 1
}

func (c *columns) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	first := c.comma[0]
	for i, b := range p[:n] {
		if c.begun == 0 && b != first && b != '\n' && b != '"' {
			continue // most bytes
		}
		if b != c.comma[c.begun] {
			c.begun = 0
		}
		if b == c.comma[c.begun] {
			c.begun++
		}
		switch {
		case b == '\n':
			c.line++
			if !c.quoted {
				c.commas = 0
			}
		case b == '"':
			c.quoted = !c.quoted
		case c.begun == len(c.comma):
			c.begun = 0
			if !c.quoted {
				c.commas++
			}
		}
		if c.commas == MostColumns {
			return i, fmt.Errorf("line %d: more than %d columns", c.line, MostColumns)
		}
	}
	return n, err
}
