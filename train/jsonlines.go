package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/internal/quote"
)

// WriteJSONLines writes the rows from number from on, each as one line with a JSON object whose members are the columns in
// their order:
//
//	{"epoch":0,"loss":0.25}
//	{"epoch":1,"loss":"NaN"}
//
// A program that trains calls it after each [History.Add] with from = Len()-1, so that other programs can follow the file
// and a run that is killed leaves what it measured. A run that goes on writes the file anew, from row 0.
//
// Numbers have all their digits, as in [History.WriteCSV]. JSON has no NaN and no infinities: they are the strings
// "NaN", "Infinity" and "-Infinity", as in the JSON of protocol buffers, which float() in Python and Number() in JavaScript
// understand. A column whose name is not UTF-8 is an error. All lines are handed to w in one call of Write.
func (h *History) WriteJSONLines(w io.Writer, from int) error {
	var lines []byte
	for _, row := range h.rows[from:] {
		for i, v := range row {
			if !utf8.ValidString(h.columns[i]) {
				return fmt.Errorf("train.History.WriteJSONLines: the name of column %s is not UTF-8", quote.Text(h.columns[i]))
			}
			name, err := json.Marshal(h.columns[i])
			if err != nil {
				return err
			}
			separator := byte(',')
			if i == 0 {
				separator = '{'
			}
			lines = append(append(append(lines, separator), name...), ':')
			lines = append(lines, jsonFloat(v)...)
		}
		lines = append(lines, "}\n"...)
	}
	_, err := w.Write(lines)
	return err
}

// jsonFloat returns a number as JSON has it, or a string where JSON has no number.
func jsonFloat(v float64) string {
	switch {
	case v != v:
		return `"NaN"`
	case v > math.MaxFloat64:
		return `"Infinity"`
	case v < -math.MaxFloat64:
		return `"-Infinity"`
	}
	return formatFloat(v)
}

// ReadJSONLines reads a history that [History.WriteJSONLines] wrote, up to the end of r. The first line names the columns,
// and all lines have the same ones, in any order. Every number is the same as before, except that all NaN have the same
// bits. A last line that is not whole, because the program was killed while it wrote, is left out. Any other error that the
// content causes names the line. A line may have at most 100,000 columns, and ReadJSONLines allocates at most 200 times the
// bytes that it reads and 64 MiB, garbage included.
func ReadJSONLines(r io.Reader) (*History, error) {
	in := bufio.NewReader(r)
	var h *History
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		last := err == io.EOF
		if err != nil && !last {
			return nil, fmt.Errorf("train.ReadJSONLines: %w", err)
		}
		if cut := last && !json.Valid(line); !cut && len(bytes.TrimSpace(line)) > 0 {
			columns, row, err := readJSONLine(line)
			if err == nil && h == nil {
				h = &History{columns: columns}
			}
			if err == nil {
				err = h.addNamed(columns, row)
			}
			if err != nil {
				return nil, fmt.Errorf("train.ReadJSONLines: line %d: %w", number, err)
			}
		}
		if last && h == nil {
			return nil, errors.New("train.ReadJSONLines: nothing to read, want a line with a JSON object")
		} else if last {
			return h, nil
		}
	}
}

// readJSONLine returns the names and the values of one object.
func readJSONLine(line []byte) (names []string, values []float64, err error) {
	if !json.Valid(line) {
		return nil, nil, errors.New("no JSON")
	}
	in := json.NewDecoder(bytes.NewReader(line)) // which can return no error now
	if open, _ := in.Token(); open != json.Delim('{') {
		return nil, nil, errors.New("JSON, but no object")
	}
	for in.More() {
		name, _ := in.Token()
		var raw json.RawMessage
		in.Decode(&raw)
		text := string(raw)
		switch text {
		case `"NaN"`, `"Infinity"`, `"-Infinity"`:
			text = strings.Trim(text, `"`)
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("column %s: %s is no number that a float64 can hold", quote.Text(name.(string)), quote.Text(text))
		}
		if len(names) == bounded.MostColumns {
			return nil, nil, fmt.Errorf("more than %d columns", bounded.MostColumns)
		}
		names, values = append(names, name.(string)), append(values, v)
	}
	return names, values, checkColumns(names)
}

// addNamed appends a row whose values have names, in any order.
func (h *History) addNamed(names []string, values []float64) error {
	places := make(map[string]int, len(names))
	for k, name := range names {
		places[name] = k
	}
	row := make([]float64, len(h.columns))
	for i, column := range h.columns {
		k, ok := places[column]
		if !ok {
			return fmt.Errorf("no column %s", quote.Text(column))
		}
		row[i] = values[k]
	}
	if len(names) != len(row) {
		return fmt.Errorf("%d columns, want %d", len(names), len(row))
	}
	h.rows = append(h.rows, row)
	return nil
}
