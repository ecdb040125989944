package dataset

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// isShort asserts that an error is short, and that its text has nothing that a terminal acts upon.
func isShort(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	text := err.Error()
	assert.LessOrEqual(t, len(text), 20_000, "%.200q", text)
	for _, r := range text {
		if !unicode.IsPrint(r) {
			t.Errorf("%q in %.200q", r, text)
			break
		}
	}
}

// TestErrorsAreShort: whatever a file holds, an error quotes it, and cuts it.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("\x1b[31m\x00", 500_000)
	read := func(c CSV, text string) error { _, err := c.Read(strings.NewReader(text)); return err }
	for name, err := range map[string]error{
		"name of a column":          read(CSV{Header: true}, long+",b\nx,1\n"),
		"names of all columns":      read(CSV{Header: true, Label: "z"}, strings.Repeat(long+",", 4)+"b\n"),
		"name with line breaks":     read(CSV{Header: true}, "\"a\n\x1b]0;b\a\"\nx\n"),
		"columns of one name":       read(CSV{Header: true, Label: long}, long+","+long+"\n1,2\n"),
		"field":                     read(CSV{}, long),
		"label":                     read(CSV{Label: "1", Classes: []string{"a"}}, long),
		"quote":                     read(CSV{}, long+"\""),
		"token twice":               new(Vocabulary).UnmarshalJSON([]byte(`["` + strings.Repeat("\u202e", 500_000) + `","` + strings.Repeat("\u202e", 500_000) + `"]`)),
		"number for a token":        new(Vocabulary).UnmarshalJSON([]byte("[" + strings.Repeat("1", 4<<20) + "]")),
		"object for a vocabulary":   new(Vocabulary).UnmarshalJSON([]byte(`{"` + strings.Repeat("a", 4<<20) + `":1}`)),
		"standardizer's number":     new(Standardizer).UnmarshalJSON([]byte(`{"mean":[` + strings.Repeat("1", 4<<20) + `]}`)),
		"standardizer's field":      new(Standardizer).UnmarshalJSON([]byte(`{"` + strings.Repeat("\u202e", 500_000) + `":[]}`)),
		"text of a standardizer":    parsed(strings.Repeat("\x1b", 4<<20)),
		"number in the text of one": parsed(`{"mean":[` + strings.Repeat("1", 4<<20) + `]}`),
	} {
		t.Run(name, func(t *testing.T) { isShort(t, err) })
	}

	table, err := CSV{Header: true, EmptyIsNaN: true}.Read(strings.NewReader(long + ",b\n,1\n"))
	require.NoError(t, err)
	_, err = FitInputs(table)
	isShort(t, err)
	v, err := NewVocabulary("a")
	require.NoError(t, err)
	_, err = v.EncodeTokens(strings.FieldsSeq(long))
	isShort(t, err)
}

func parsed(text string) error { _, err := ParseStandardizer(text); return err }

// allocated returns the number of bytes that f allocates, garbage included.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// shortTokens returns n different tokens of three characters.
func shortTokens(n int) (tokens []string) {
	const characters = "!#$%&()*+-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"
	for i := range n {
		const base = len(characters)
		tokens = append(tokens, string([]byte{characters[i/base/base], characters[i/base%base], characters[i%base]}))
	}
	return tokens
}

// TestCSVMemory: CSV.Read allocates at most 48 times the bytes of the text and 48 MiB, garbage included.
func TestCSVMemory(t *testing.T) {
	const size = 2 << 20
	names := strings.Join(shortTokens(100_000), ",") + "\n"
	for name, c := range map[string]struct {
		CSV
		text string
		want string // at the end of the error, or ""
	}{
		"commas":           {CSV{}, strings.Repeat(",", size), "more than 100000 columns"},
		"commas as gaps":   {CSV{EmptyIsNaN: true}, strings.Repeat(",", size), "more than 100000 columns"},
		"commas as header": {CSV{Header: true}, strings.Repeat(",", size), "more than 100000 columns"},
		"commas below":     {CSV{Header: true, EmptyIsNaN: true}, "a,b\n" + strings.Repeat(",", size), "more than 100000 columns"},
		"quoted lines":     {CSV{}, strings.Repeat("\"\n\",", size/4), "more than 100000 columns"},
		"columns":          {CSV{Header: true, EmptyIsNaN: true}, names + strings.Repeat(strings.Repeat(",", 99_999)+"\n", size/100_000), ""},
		"one record":       {CSV{EmptyIsNaN: true}, strings.Repeat(",", 99_999), ""},
		"gaps":             {CSV{EmptyIsNaN: true}, strings.Repeat(",\n", size/2), ""},
		"many labels":      {CSV{Label: "1", TextLabels: true}, strings.Join(shortTokens(300_000), "\n"), ""},
		"labels and gaps":  {CSV{Label: "1", TextLabels: true, EmptyIsNaN: true}, strings.Join(shortTokens(200_000), ",,\n") + ",,", ""},
		"one label":        {CSV{Label: "1", TextLabels: true}, strings.Repeat("class"+strings.Repeat(",1", 100)+"\n", size/200), ""},
		"a long name":      {CSV{Header: true}, strings.Repeat("a", size) + ",b\n1,x\n", "found \"x\", want a number"},
		"a long field":     {CSV{}, strings.Repeat("a", size), "want a number"},
		"a long label":     {CSV{Label: "1", TextLabels: true}, strings.Repeat("a", size) + ",1\n", ""},
		"an open quote":    {CSV{}, "\"" + strings.Repeat(",\n", size/2), "extraneous or missing \" in quoted-field"},
		"empty lines":      {CSV{}, strings.Repeat("\n", size), "no record, want at least one"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			spent := allocated(func() { _, err = c.Read(strings.NewReader(c.text)) })
			assert.LessOrEqual(t, spent, 48*len(c.text)+48<<20, "%d for %d bytes", spent, len(c.text))
			if c.want == "" {
				assert.NoError(t, err)
			} else {
				isShort(t, err)
				assert.True(t, strings.HasSuffix(err.Error(), c.want), "%v", err)
			}
		})
	}
}

// TestStandardizerMemory: ParseStandardizer allocates at most 64 times the bytes of the text and 1 MiB, garbage included.
func TestStandardizerMemory(t *testing.T) {
	const size = 2 << 20
	for name, text := range map[string]string{
		"means":            `{"mean":[1` + strings.Repeat(",1", size/2) + `]}`,
		"means and scales": `{"mean":[1` + strings.Repeat(",1", size/4) + `],"scale":[1` + strings.Repeat(",1", size/4) + `]}`,
		"again":            `{` + strings.Repeat(`"mean":[1],`, size/11) + `"scale":[1]}`,
		"no numbers":       `{"mean":[` + strings.Repeat(`"",`, size/3) + `""]}`,
		"nulls":            `{"mean":[` + strings.Repeat(`null,`, size/5) + `null]}`,
		"one number":       `{"mean":[` + strings.Repeat("1", size) + `]}`,
		"one key":          `{"` + strings.Repeat("\x1b", size) + `":1}`,
	} {
		spent := allocated(func() { ParseStandardizer(text) })
		assert.LessOrEqual(t, spent, 64*len(text)+1<<20, "%s: %d for %d bytes", name, spent, len(text))
	}
}

// TestVocabularyMemory: reading a vocabulary allocates at most 32 times the bytes of the text and 1 KiB, garbage included.
func TestVocabularyMemory(t *testing.T) {
	const size = 2 << 20
	all := shortTokens(350_000)
	of := func(tokens ...string) string { return `["` + strings.Join(tokens, `","`) + `"]` }
	for name, c := range map[string]struct{ text, want string }{
		"many tokens":      {of(all...), ""},
		"not as many":      {of(all[:125_000]...), ""},
		"one long token":   {of(strings.Repeat("a", size)), ""},
		"commas in tokens": {of("a", strings.Repeat(",", size)), ""},
		"one escape":       {of(strings.Repeat(`\u202e`, size/6)), ""},
		"empty tokens":     {of(make([]string, size/3)...), `token 0 of the vocabulary is ""`},
		"one token":        {of(slices.Repeat([]string{"a"}, size/4)...), "want each once"},
		"nulls":            {"[" + strings.Repeat("null,", size/5) + "null]", `token 0 of the vocabulary is ""`},
		"numbers":          {"[" + strings.Repeat("0,", size/2) + "0]", "cannot unmarshal number"},
		"one number":       {"[" + strings.Repeat("1", size) + "]", "cannot unmarshal number"},
		"arrays":           {strings.Repeat("[", size), "want an array of strings"},
		"commas":           {"[" + strings.Repeat(",", size) + "]", "invalid character ','"},
	} {
		t.Run(name, func(t *testing.T) {
			data, v, err := []byte(c.text), &Vocabulary{}, error(nil)
			spent := allocated(func() { err = v.UnmarshalJSON(data) })
			assert.LessOrEqual(t, spent, 32*len(data)+1<<10, "%d for %d bytes", spent, len(data))
			if c.want == "" {
				assert.NoError(t, err)
			} else {
				isShort(t, err)
				assert.ErrorContains(t, err, c.want)
			}
		})
	}
}
