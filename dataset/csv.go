package dataset

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/tensor"
)

// CSV says how a table of numbers and labels is read from text: comma-separated values (RFC 4180), where each record is
// an example. The zero value reads a table of numbers without a header.
//
// The fields below name a column by its name in the header, or by its number, counted from 1 as in error messages: "3".
// Where "3" is also a name in the header, it means the column of that name.
type CSV struct {
	Header   bool     // the first record holds the columns' names
	Comma    rune     // between fields. 0: a comma
	Features []string // columns of numbers for X, in this order; one may occur twice. Empty: all but Targets and Label
	Targets  []string // columns of numbers to predict
	Label    string   // column of labels. Empty: none

	// TextLabels says that labels are text: the first label in the table is class 0, the next one that differs from it is
	// class 1, and so on. Without TextLabels, labels are integers, which are kept unchanged.
	TextLabels bool
	// Classes, if not empty, are the labels that may occur, as text: the label Classes[c] is class c.
	Classes []string

	// EmptyIsNaN reads an empty field among numbers as NaN instead of an error. Models cannot learn from a NaN input:
	// see FillGaps and WindowConfig.SkipGaps.
	EmptyIsNaN bool
	NonFinite  bool // reads "NaN" and "Inf" (in any case, with or without a sign) as numbers instead of errors
}

// Table is the result of reading a [CSV]: a Source with X of shape [N,F], a row for each record, which a batch holds as
// [B,F], without a time axis, as layers.Dense reads it. For a recurrent layer, give X a time axis over the same memory:
// tensor.Of(t.X.Data(), n, 1, f) for one step, or tensor.Of(t.X.Data(), n, steps, 1) where each record is a sequence.
// Where the records are the steps of a series, pass X to [NewWindows].
type Table struct {
	Tensors
	FeatureNames []string // names of the columns of X, from the header, or else their numbers counted from 1
	TargetNames  []string // names of the columns of Target
	Classes      []string // text of each class; nil if labels are integers
}

// Load reads the table in a file. Its errors are those of [CSV.Read], with the path of the file.
func (c CSV) Load(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	defer f.Close()
	return c.read(f, "dataset: "+path+": ")
}

// Read reads a table to its end. It accepts a byte order mark, lines that end in CR LF, and spaces around a field (but not
// after a closing quote). Empty lines are skipped, except that an empty line within a table of one column is an error,
// because it may be a missing value.
//
// Text that differs from the description c is an error that names the line and the column, what was found and what was
// expected: records of different lengths, fields that are not decimal numbers or are outside the range of float32, and so
// on. A table without a record is an error; a table of a header alone has no examples. A record may have at most 100,000
// columns. Read allocates at most 48 times the bytes of the text and 48 MiB, garbage included. Read panics with a [*tensor.UsageError] if Comma cannot separate fields, or if Classes has a class twice.
func (c CSV) Read(r io.Reader) (*Table, error) { return c.read(r, "dataset: ") }

// csvReader is the state of reading a table.
type csvReader struct {
	CSV
	where   string // the beginning of each error
	records *csv.Reader
	line    int      // line of the current record, counted from 1
	breaks  int      // line breaks in the first field of the current record
	fields  []string // of the current record
	names   []string // names of the columns; nil without a header
	width   int      // number of columns

	features, targets []int // columns
	label             int   // column; -1: none
	classes           map[string]int32
	table             *Table
	x, y              []float32 // values of the features and of the targets so far
	n                 int       // examples so far
}

func (c CSV) read(from io.Reader, where string) (*Table, error) {
	if c.Comma == 0 {
		c.Comma = ','
	}
	if strings.ContainsRune("\"\r\n\ufffd", c.Comma) || !utf8.ValidRune(c.Comma) {
		panic(&tensor.UsageError{Where: "dataset.CSV", What: fmt.Sprintf("Comma is %q, which cannot separate fields", c.Comma)})
	}
	table := &Table{Classes: slices.Clone(c.Classes)}
	classes := make(map[string]int32, len(c.Classes))
	for i, class := range c.Classes {
		classes[class] = int32(i)
	}
	if len(classes) != len(c.Classes) {
		panic(&tensor.UsageError{Where: "dataset.CSV", What: fmt.Sprintf("Classes are %s, want each once", quote.Texts(c.Classes))})
	}
	text := bufio.NewReader(from)
	if mark, _ := text.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		text.Discard(3)
	}
	r := &csvReader{CSV: c, where: where, records: csv.NewReader(bounded.Columns(text, c.Comma)), label: -1, classes: classes, table: table}
	r.records.Comma = c.Comma
	r.records.FieldsPerRecord = -1 // next compares the numbers of fields, with a clearer error
	r.records.ReuseRecord = true
	r.records.TrimLeadingSpace = c.Comma != ' ' && c.Comma != '\t'
	if err := r.all(); err != nil {
		return nil, err
	}
	return r.finish(), nil
}

// errorf returns an error about the current record.
func (r *csvReader) errorf(format string, args ...any) error {
	return fmt.Errorf("%sline %d: "+format, append([]any{r.where, r.line}, args...)...)
}

// next reads the next record. Its error is io.EOF at the end of the table.
func (r *csvReader) next() error {
	fields, err := r.records.Read()
	if err == io.EOF {
		return err
	}
	if err != nil {
		return fmt.Errorf("%s%w", r.where, err) // a parse error names the line itself
	}
	after := r.line + 1 + r.breaks
	r.line, _ = r.records.FieldPos(0)
	if r.width == 1 && r.line > after {
		return fmt.Errorf("%sline %d: an empty line in a table of one column, want a field", r.where, after)
	}
	if r.width == 0 {
		r.width = len(fields)
	}
	r.breaks = strings.Count(fields[0], "\n")
	for i, f := range fields {
		fields[i] = strings.TrimSpace(f)
	}
	r.fields = fields
	if len(fields) != r.width {
		return r.errorf("%d fields, want %d as in the first record", len(fields), r.width)
	}
	return nil
}

// all reads the whole table.
func (r *csvReader) all() error {
	err := r.next()
	if err == io.EOF {
		return fmt.Errorf("%sno record, want at least one", r.where)
	}
	if err != nil {
		return err
	}
	if r.Header {
		r.names = make([]string, r.width)
		for i, name := range r.fields {
			r.names[i] = strings.Clone(name)
		}
	}
	if err := r.choose(); err != nil {
		return err
	}
	if r.Header {
		err = r.next()
	}
	for ; err == nil; err = r.next() {
		if err := r.record(); err != nil {
			return err
		}
	}
	if err != io.EOF {
		return err
	}
	return nil
}

// choose finds the columns that the fields of CSV name.
func (r *csvReader) choose() error {
	var err error
	named := map[int]bool{}
	find := func(columns []string) (found []int) {
		for _, name := range columns {
			i, e := r.find(name)
			if e != nil && err == nil {
				err = e
			}
			named[i] = true
			found = append(found, i)
		}
		return found
	}
	r.targets = find(r.Targets)
	if r.Label != "" {
		r.label = find([]string{r.Label})[0]
		r.table.Labels = []int32{}
	}
	if len(r.Features) > 0 {
		r.features = find(r.Features)
	} else {
		for i := range r.width {
			if !named[i] {
				r.features = append(r.features, i)
			}
		}
	}
	return err
}

// find returns the column that has a name or number, counted from 0.
func (r *csvReader) find(name string) (int, error) {
	found := -1
	for i, n := range r.names {
		if n != name {
			continue
		}
		if found >= 0 {
			return 0, r.errorf("columns %d and %d are both called %s, want one (a number tells them apart)",
				found+1, i+1, quote.Text(name))
		}
		found = i
	}
	if found >= 0 {
		return found, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= r.width {
		return n - 1, nil
	}
	if r.names != nil && r.width <= 20 {
		return 0, r.errorf("no column %s, want one of %s or a number from 1 to %d", quote.Text(name), quote.Texts(r.names), r.width)
	}
	return 0, r.errorf("no column %s, want a number from 1 to %d", quote.Text(name), r.width)
}

// name returns the name of a column in the header, or else its number counted from 1.
func (r *csvReader) name(column int) string {
	if r.names != nil {
		return r.names[column]
	}
	return strconv.Itoa(column + 1)
}

// record adds the current record as an example.
func (r *csvReader) record() (err error) {
	if r.x, err = r.numbers(r.x, r.features); err != nil {
		return err
	}
	if r.y, err = r.numbers(r.y, r.targets); err != nil {
		return err
	}
	r.n++
	if r.label < 0 {
		return nil
	}
	label, want := r.class(r.fields[r.label])
	if want != "" {
		return r.unlike(r.label, want)
	}
	r.table.Labels = append(r.table.Labels, label)
	return nil
}

// unlike returns the error for a field of the current record that is not as wanted.
func (r *csvReader) unlike(column int, want string) error {
	line, _ := r.records.FieldPos(column)
	name := ""
	if r.names != nil && r.names[column] != "" {
		name = fmt.Sprintf(" (%s)", quote.Name(r.names[column]))
	}
	found := "an empty field"
	if f := r.fields[column]; f != "" {
		found = quote.Text(f)
	}
	return fmt.Errorf("%sline %d, column %d%s: found %s, want %s", r.where, line, column+1, name, found, want)
}

// numbers appends the numbers in some columns of the current record to a slice.
func (r *csvReader) numbers(to []float32, columns []int) ([]float32, error) {
	for _, column := range columns {
		v, want := r.number(r.fields[column])
		if want != "" {
			return nil, r.unlike(column, want)
		}
		to = append(to, v)
	}
	return to, nil
}

// number returns the value of a field. If the field has none, want says what was expected.
func (r *csvReader) number(field string) (v float32, want string) {
	if field == "" && r.EmptyIsNaN {
		return float32(math.NaN()), ""
	}
	v64, err := strconv.ParseFloat(field, 32)
	switch {
	case err != nil && math.IsInf(v64, 0):
		return 0, "a number within the range of float32"
	case err != nil || strings.ContainsAny(field, "xX_"): // hexadecimal numbers are for programs
		return 0, "a number"
	case !r.NonFinite && (math.IsInf(v64, 0) || math.IsNaN(v64)):
		return 0, "a finite number"
	}
	return float32(v64), ""
}

// class returns the label in a field. If the field has none, want says what was expected.
func (r *csvReader) class(field string) (label int32, want string) {
	given := r.CSV.Classes
	if len(given) == 0 && !r.TextLabels {
		n, err := strconv.ParseInt(field, 10, 32)
		if err != nil {
			return 0, "an integer label of 32 bits"
		}
		return int32(n), ""
	}
	label, ok := r.classes[field]
	switch {
	case ok:
		return label, ""
	case field == "":
		return 0, "a label"
	case len(given) > 10:
		return 0, fmt.Sprintf("one of %d classes", len(given))
	case len(given) > 0:
		return 0, "one of the classes " + quote.Texts(given)
	}
	label = int32(len(r.classes))
	field = strings.Clone(field)
	r.classes[field] = label
	return label, ""
}

// finish gives the table its shapes and names.
func (r *csvReader) finish() *Table {
	t := r.table
	if r.TextLabels && r.label >= 0 && len(r.CSV.Classes) == 0 {
		t.Classes = make([]string, len(r.classes))
		for class, label := range r.classes {
			t.Classes[label] = class
		}
	}
	for _, column := range r.features {
		t.FeatureNames = append(t.FeatureNames, r.name(column))
	}
	for _, column := range r.targets {
		t.TargetNames = append(t.TargetNames, r.name(column))
	}
	t.X = tensor.Of(r.x, r.n, len(r.features))
	if len(r.targets) > 0 {
		t.Target = tensor.Of(r.y, r.n, len(r.targets))
	}
	return t
}
