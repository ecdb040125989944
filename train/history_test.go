package train_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/train"
)

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestHistory(t *testing.T) {
	h := train.NewHistory("epoch", "loss")
	row := []float64{0, 0.25}
	h.Add(row...)
	row[1] = 7 // the history keeps a copy
	h.Add(1, 1.0/3)
	assert.Equal(t, 2, h.Len())
	assert.Equal(t, []float64{0.25, 1.0 / 3}, h.Column("loss"))
	columns := h.Columns()
	columns[0] = "changed"
	assert.Equal(t, []string{"epoch", "loss"}, h.Columns())
	var text strings.Builder
	require.NoError(t, h.WriteCSV(&text))
	assert.Equal(t, "epoch,loss\n0,0.25\n1,0.3333333333333333\n", text.String())
	assert.EqualError(t, h.WriteCSV(full{}), "disk full")
	assert.EqualError(t, autograd.Try(func() { h.Add(1) }), "train.History.Add: 1 values, want 2, one each for [epoch loss]")
	assert.EqualError(t, autograd.Try(func() { h.Column("time") }), `train.History.Column: no column "time" among [epoch loss]`)
	for want, columns := range map[string][]string{
		"no columns, want at least one":                                                 nil,
		`a column is named "", want a name without line breaks that is not empty`:       {"loss", ""},
		`a column is named "lo\nss", want a name without line breaks that is not empty`: {"lo\nss"},
		`a column is named "loss\r", want a name without line breaks that is not empty`: {"loss\r"},
		`two columns are named "loss"`:                                                  {"loss", "acc", "loss"},
	} {
		assert.EqualError(t, autograd.Try(func() { train.NewHistory(columns...) }), "train.NewHistory: "+want)
	}
}

// assertSame asserts that two histories have the same names and, bit for bit, the same numbers.
func assertSame(t *testing.T, want, got *train.History) {
	t.Helper()
	require.Equal(t, want.Columns(), got.Columns())
	require.Equal(t, want.Len(), got.Len())
	for _, name := range want.Columns() {
		other := got.Column(name)
		for i, v := range want.Column(name) {
			if v != v {
				require.True(t, other[i] != other[i], "%v is not NaN", other[i])
			} else {
				require.Equal(t, math.Float64bits(v), math.Float64bits(other[i]), "%v and %v", v, other[i])
			}
		}
	}
}

func TestHistoryComesBack(t *testing.T) {
	numbers := map[float64]string{
		0: "0", math.Copysign(0, -1): "-0", 1: "1", -2: "-2", 1234567: "1234567", 0.953: "0.953", 1e-5: "0.00001", 1e-6: "1e-06",
		999999999999999: "999999999999999", 1e15: "1e+15", float64(float32(0.1)): "0.10000000149011612",
		math.Inf(1): "+Inf", math.Inf(-1): "-Inf", math.NaN(): "NaN", math.MaxFloat64: "1.7976931348623157e+308",
		math.SmallestNonzeroFloat64: "5e-324", math.Pi: "3.141592653589793",
	}
	for v, want := range numbers {
		h := train.NewHistory("a, \"b\"", " c", `\.`)
		h.Add(v, 1, -v)
		var text strings.Builder
		require.NoError(t, h.WriteCSV(&text))
		assert.Equal(t, "\"a, \"\"b\"\"\",\" c\",\"\\.\"\n"+want+",1,", text.String()[:strings.LastIndexByte(text.String(), ',')+1])
		read, err := train.ReadHistory(strings.NewReader(text.String()))
		require.NoError(t, err)
		assertSame(t, h, read)
		read.Add(1, 2, 3) // a history that was read goes on
		assert.Equal(t, 2, read.Len())
	}
	read, err := train.ReadHistory(strings.NewReader("epoch\r\n1\r\n2")) // as an editor may leave it
	require.NoError(t, err)
	assert.Equal(t, []float64{1, 2}, read.Column("epoch"))
}

func TestReadHistoryRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "nothing to read, want a line with the names of the columns",
		"\n\n":                             "nothing to read, want a line with the names of the columns",
		"a,a\n":                            `line 1: two columns are named "a"`,
		"a,\n1,2\n":                        `line 1: a column is named "", want a name without line breaks that is not empty`,
		"a,b\n1,2\n3\n":                    "line 3: 1 values, want 2, one for each column",
		"a,b\n1,2,3\n":                     "line 2: 3 values, want 2, one for each column",
		"a,b\n1,2\n\n3,x\x1b[31m\n":        `line 4, column "b": "x\x1b[31m" is no number that a float64 can hold`,
		"a,b\n,2\n":                        `line 2, column "a": "" is no number that a float64 can hold`,
		"a\n1e999\n":                       `line 2, column "a": "1e999" is no number that a float64 can hold`,
		"a\n 1\n":                          `line 2, column "a": " 1" is no number that a float64 can hold`,
		"a\n1\n\"2\n":                      "line 3: extraneous or missing \" in quoted-field",
		"a\n1\n2\"\n":                      "line 3: bare \" in non-quoted-field",
		"a\"\n":                            "line 1: bare \" in non-quoted-field",
		"a\n" + strings.Repeat(",", 4<<20): "line 2: more than 100000 columns",
		strings.Repeat("a", 1e6) + "\nx":   `line 2, column "` + strings.Repeat("a", 100) + `"...: "x" is no number that a float64 can hold`,
		"a\n" + strings.Repeat("x", 1e4):   `line 2, column "a": "` + strings.Repeat("x", 100) + `"... is no number that a float64 can hold`,
	} {
		h, err := train.ReadHistory(strings.NewReader(text))
		assert.EqualError(t, err, "train.ReadHistory: "+want)
		assert.Nil(t, h)
	}
	torn := errors.New("disk torn")
	for _, start := range []string{"", "a,b\n", "a,b\n1,2\n3,"} {
		_, err := train.ReadHistory(io.MultiReader(strings.NewReader(start), iotest.ErrReader(torn)))
		assert.ErrorIs(t, err, torn)
	}
}

// TestReadHistoryMemory: ReadHistory allocates at most 48 times the bytes of the text and 48 MiB, garbage included.
func TestReadHistoryMemory(t *testing.T) {
	const size = 2 << 20
	var names []string
	for i := range 100_000 {
		names = append(names, fmt.Sprintf("%x", i))
	}
	for name, text := range map[string]string{
		"rows":          "a\n" + strings.Repeat("1\n", size/2),
		"columns":       strings.Join(names, ",") + "\n" + strings.Repeat("1"+strings.Repeat(",1", 99_999)+"\n", 5),
		"commas":        strings.Repeat(",", size),
		"commas below":  "a\n" + strings.Repeat(",", size),
		"a long column": strings.Repeat("a", size) + "\n1\n",
		"a long number": "a\n" + strings.Repeat("1", size),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		train.ReadHistory(strings.NewReader(text))
		runtime.ReadMemStats(&after)
		assert.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(48*len(text)+48<<20), name)
	}
}

// TestReadJSONLinesMemory: ReadJSONLines takes time in proportion to the text, which must not grow with the square of the columns, and
// allocates at most 200 times its bytes and 64 MiB, most of it garbage.
func TestReadJSONLinesMemory(t *testing.T) {
	const size = 1 << 20
	object := func(n int) string {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(`"%x":1`, i))
		}
		slices.Reverse(members)
		return "{" + strings.Join(members, ",") + "}\n"
	}
	evil := strings.Repeat("\u202e", size/3)
	for name, c := range map[string]struct{ text, want string }{
		"rows":              {strings.Repeat(`{"a":1}`+"\n", size/8), ""},
		"columns":           {object(100_000), ""},
		"more columns":      {object(100_001), "line 1: more than 100000 columns"},
		"a long name":       {`{"` + evil + `":"x"}` + "\n", "is no number that a float64 can hold"},
		"a long name, gone": {`{"` + evil + `":1}` + "\n{\"a\":1}\n", "line 2: no column"},
		"a long value":      {`{"a":"` + evil + `"}` + "\n", "is no number that a float64 can hold"},
		"a long number":     {`{"a":` + strings.Repeat("1", size) + "}\n", "is no number that a float64 can hold"},
		"nested":            {`{"a":` + strings.Repeat("[", size) + "}\n", "line 1: no JSON"},
		"lines":             {strings.Repeat("\n", size), "nothing to read"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := train.ReadJSONLines(strings.NewReader(c.text))
		runtime.ReadMemStats(&after)
		assert.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(200*len(c.text)+64<<20), name)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.want, name)
		assert.Less(t, len(err.Error()), 2000, name)
		assert.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "%s: %q", name, err)
	}
}

// The names of columns may come from a file. Errors quote and cut them.
func TestHistoryErrorsAreShort(t *testing.T) {
	names := "\x1b[2J" + strings.Repeat("a", 1<<20)
	for i := range 1000 {
		names += fmt.Sprintf(",\a%d", i)
	}
	h, err := train.ReadHistory(strings.NewReader(names + "\n"))
	require.NoError(t, err)
	for _, f := range []func(){func() { h.Add() }, func() { h.Column("loss") }} {
		err := autograd.Try(f)
		require.Error(t, err)
		assert.Less(t, len(err.Error()), 10_000)
		assert.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "%q", err)
	}
}

// A history that was read can be written and read again without a change.
func FuzzReadHistory(f *testing.F) {
	for _, seed := range []string{
		"", "epoch,loss\n0,0.25\n1,0.3333333333333333\n", "a\nNaN\n+Inf\n-Inf\n-0\n5e-324\n", "\"a,\"\"\"\r\n1\r\n", "a,a\n1,2\n", "a\n\"1\n",
		"a\n0x1p-2\n", "a\n1_0\n", "a,b\n1\n", "\xef\xbb\xbfa\n1\n", "a\n1e999\n",
		"\x1b[2J,\u202e\n1\n", "\"\a\"\nx\x1b\n", "a\x9b,a\x9b\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := train.ReadHistory(strings.NewReader(text))
		if err != nil {
			require.Nil(t, h)
			require.Less(t, len(err.Error()), 1200)
			require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "%q", err)
			return
		}
		var out strings.Builder
		require.NoError(t, h.WriteCSV(&out))
		again, err := train.ReadHistory(strings.NewReader(out.String()))
		require.NoError(t, err)
		assertSame(t, h, again)
	})
}

func ExampleHistory() {
	h := train.NewHistory("epoch", "acc_valid")
	h.Add(0, 0.9322)
	h.Add(1, 0.9530)
	if err := h.WriteCSV(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// epoch,acc_valid
	// 0,0.9322
	// 1,0.953
}

// A run that continues from a checkpoint reads the measurements of the first part and adds to them.
func ExampleReadHistory() {
	file := strings.NewReader("epoch,acc_valid\n0,0.9322\n1,0.953\n")
	h, err := train.ReadHistory(file)
	if err != nil {
		panic(err)
	}
	h.Add(float64(h.Len()), 0.961)
	if err := h.WriteCSV(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// epoch,acc_valid
	// 0,0.9322
	// 1,0.953
	// 2,0.961
}
