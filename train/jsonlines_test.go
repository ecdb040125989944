package train_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/train"
)

// A training appends a line after each epoch. JSON has no NaN, which is therefore a string.
func ExampleHistory_WriteJSONLines() {
	history := train.NewHistory("epoch", "loss")
	for epoch, loss := range []float64{0.5, 0.25, math.NaN()} {
		history.Add(float64(epoch), loss)
		if err := history.WriteJSONLines(os.Stdout, history.Len()-1); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// {"epoch":0,"loss":0.5}
	// {"epoch":1,"loss":0.25}
	// {"epoch":2,"loss":"NaN"}
}

func TestJSONLinesComeBack(t *testing.T) {
	h := train.NewHistory(`a "quoted"`, " größe <&>\t", `\.`)
	var pieces strings.Builder
	for _, v := range []float64{0, math.Copysign(0, -1), 1e-6, 999999999999999, 1e15, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64,
		-math.MaxFloat64, math.SmallestNonzeroFloat64, math.Pi, float64(float32(0.1))} {
		h.Add(v, 1, -v)
		require.NoError(t, h.WriteJSONLines(&pieces, h.Len()-1))
	}
	var whole strings.Builder
	require.NoError(t, h.WriteJSONLines(&whole, 0))
	assert.Equal(t, pieces.String(), whole.String())
	for line := range strings.Lines(whole.String()) {
		assert.True(t, json.Valid([]byte(line)), line)
	}
	read, err := train.ReadJSONLines(strings.NewReader(whole.String()))
	require.NoError(t, err)
	assertSame(t, h, read)

	assert.EqualError(t, h.WriteJSONLines(full{}, 0), "disk full")
	bytes := train.NewHistory("a\xff")
	bytes.Add(1)
	assert.EqualError(t, bytes.WriteJSONLines(&whole, 0), `train.History.WriteJSONLines: the name of column "a\xff" is not UTF-8`)
}

// TestJSONLinesCut cuts a file at every length, as the death of a program can: all whole lines come back.
func TestJSONLinesCut(t *testing.T) {
	h := train.NewHistory("epoch", "loss")
	h.Add(0, 0.5)
	h.Add(1, math.NaN())
	h.Add(2, 0.25)
	var text strings.Builder
	require.NoError(t, h.WriteJSONLines(&text, 0))
	for n := range text.Len() + 1 {
		kept := text.String()[:n]
		read, err := train.ReadJSONLines(strings.NewReader(kept))
		if rows := strings.Count(kept, "}"); rows == 0 {
			assert.EqualError(t, err, "train.ReadJSONLines: nothing to read, want a line with a JSON object")
		} else if assert.NoError(t, err, kept) {
			assert.Equal(t, []float64{0, 1, 2}[:rows], read.Column("epoch"))
		}
	}
}

func TestReadJSONLines(t *testing.T) {
	read, err := train.ReadJSONLines(strings.NewReader("\r\n{ \"a\": 1, \"b\": \"-Infinity\" }\r\n\n{\"b\":3,\"a\":2}"))
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, read.Columns())
	assert.Equal(t, []float64{1, 2}, read.Column("a"))
	assert.Equal(t, []float64{math.Inf(-1), 3}, read.Column("b"))

	const first = `{"a":1,"b":2}` + "\n"
	for text, want := range map[string]string{
		"":                                       "nothing to read, want a line with a JSON object",
		"{}\n":                                   "line 1: no columns, want at least one",
		"[1]\n":                                  "line 1: JSON, but no object",
		"7":                                      "line 1: JSON, but no object",
		"epoch,loss\n":                           "line 1: no JSON",
		`{"a":NaN}` + "\n":                       "line 1: no JSON",
		`{"a":1}{"a":2}` + "\n":                  "line 1: no JSON",
		`{"a":1,"a":2}` + "\n":                   `line 1: two columns are named "a"`,
		`{"":1}` + "\n":                          `line 1: a column is named "", want a name without line breaks that is not empty`,
		first + `{"a":3,"lo{"a":3,"b":4}` + "\n": "line 2: no JSON",
		first + "\n" + `{"a":3}` + "\n":          `line 3: no column "b"`,
		first + `{"a":3,"b":4,"c":5}`:            "line 2: 3 columns, want 2",
		first + `{"a":3,"b":1e999}`:              `line 2: column "b": "1e999" is no number that a float64 can hold`,
		first + `{"a":3,"b":"4"}`:                `line 2: column "b": "\"4\"" is no number that a float64 can hold`,
		first + `{"a":3,"b":null}`:               `line 2: column "b": "null" is no number that a float64 can hold`,
		first + `{"a":3,"b":{"c":1}}`:            `line 2: column "b": "{\"c\":1}" is no number that a float64 can hold`,
	} {
		h, err := train.ReadJSONLines(strings.NewReader(text))
		assert.EqualError(t, err, "train.ReadJSONLines: "+want, text)
		assert.Nil(t, h)
	}
	torn := errors.New("disk torn")
	_, err = train.ReadJSONLines(io.MultiReader(strings.NewReader(first+`{"a"`), iotest.ErrReader(torn)))
	assert.ErrorIs(t, err, torn)
}

// A history that was read can be written and read again without a change.
func FuzzReadJSONLines(f *testing.F) {
	for _, seed := range []string{
		"", "{\"a\":1,\"b\":\"NaN\"}\n{\"b\":2,\"a\":\"-Infinity\"}\n{\"a\":3", "{\"\x1b\":1}\n", "{\"\u202e\":\"\x9b\"}\n", `{"a":1e999}`,
		"{\"a\":1}\n\n{\"b\":1}\n", `{"a":[[]]}`, `{"\ud800":1}`, "[1]\n", "{}", "{\"a\":1}{\"a\":1}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := train.ReadJSONLines(strings.NewReader(text))
		if err != nil {
			require.Nil(t, h)
			require.Less(t, len(err.Error()), 2000)
			require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "%q", err)
			return
		}
		var out strings.Builder
		require.NoError(t, h.WriteJSONLines(&out, 0))
		again, err := train.ReadJSONLines(strings.NewReader(out.String()))
		require.NoError(t, err)
		assertSame(t, h, again)
	})
}
