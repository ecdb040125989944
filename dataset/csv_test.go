package dataset

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCSV(t *testing.T) {
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		name     string
		csv      CSV
		text     string
		shape    []int
		x        []float32
		features []string
		y        []float32
		targets  []string
		labels   []int32
		classes  []string
	}{
		{"numbers", CSV{}, "1,2\n-3.5,4e2\n", []int{2, 2}, []float32{1, 2, -3.5, 400}, []string{"1", "2"},
			nil, nil, nil, nil},
		{"no line end", CSV{}, "1,2\n3,4", []int{2, 2}, []float32{1, 2, 3, 4}, []string{"1", "2"}, nil, nil, nil, nil},
		{"mark, Windows, spaces, quotes", CSV{Header: true}, "\ufeff\"a\", b\r\n 1 , \" 2\"\r\n\r\n3\t,4\r\n",
			[]int{2, 2}, []float32{1, 2, 3, 4}, []string{"a", "b"}, nil, nil, nil, nil},
		{"header alone", CSV{Header: true, Label: "b"}, "a,b\n", []int{0, 1}, nil, []string{"a"}, nil, nil, []int32{}, nil},
		{"integer labels", CSV{Label: "1"}, "3,0.5\n-100,1\n", []int{2, 1}, []float32{0.5, 1}, []string{"2"},
			nil, nil, []int32{3, -100}, nil},
		{"text labels", CSV{Header: true, Label: "kind", TextLabels: true}, "kind,x\nb,1\na,2\nb,3\n",
			[]int{3, 1}, []float32{1, 2, 3}, []string{"x"}, nil, nil, []int32{0, 1, 0}, []string{"b", "a"}},
		{"classes given", CSV{Label: "2", Classes: []string{"a", "b", "c"}}, "1,c\n2,a\n",
			[]int{2, 1}, []float32{1, 2}, []string{"1"}, nil, nil, []int32{2, 0}, []string{"a", "b", "c"}},
		{"targets, chosen features in another order", CSV{Header: true, Features: []string{"c", "a"}, Targets: []string{"d"}},
			"a,b,c,d\n1,text,3,4\n5,,7,8\n", []int{2, 2}, []float32{3, 1, 7, 5}, []string{"c", "a"},
			[]float32{4, 8}, []string{"d"}, nil, nil},
		{"all but targets and label", CSV{Header: true, Targets: []string{"b", "d"}, Label: "a"},
			"a,b,c,d\n1,2,3,4\n", []int{1, 1}, []float32{3}, []string{"c"}, []float32{2, 4}, []string{"b", "d"}, []int32{1}, nil},
		{"a name goes before a number", CSV{Header: true, Features: []string{"2", "3"}}, "2,1,x\n1,2,3\n",
			[]int{1, 2}, []float32{1, 3}, []string{"2", "x"}, nil, nil, nil, nil},
		{"columns of one name", CSV{Header: true, Features: []string{"2"}}, "a,a\n1,2\n",
			[]int{1, 1}, []float32{2}, []string{"a"}, nil, nil, nil, nil},
		{"tabs, a field missing", CSV{Comma: '\t', EmptyIsNaN: true}, "1\t\t3\n", []int{1, 3},
			[]float32{1, nan, 3}, []string{"1", "2", "3"}, nil, nil, nil, nil},
		{"not finite", CSV{Comma: ';', NonFinite: true}, "NaN;-inf;+Infinity\n", []int{1, 3}, []float32{nan, -inf, inf},
			[]string{"1", "2", "3"}, nil, nil, nil, nil},
		{"labels alone", CSV{Label: "1"}, "1\n2\n", []int{2, 0}, nil, nil, nil, nil, []int32{1, 2}, nil},
		{"largest and smallest", CSV{}, "3.4028235e38,1e-45,1e-60", []int{1, 3}, []float32{math.MaxFloat32, 1e-45, 0},
			[]string{"1", "2", "3"}, nil, nil, nil, nil},
		{"one column over lines", CSV{TextLabels: true, Label: "1"}, "\n\"a\nb\"\nc\n\n\n", []int{2, 0}, nil, nil, nil, nil,
			[]int32{0, 1}, []string{"a\nb", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := c.csv.Read(iotest.OneByteReader(strings.NewReader(c.text)))
			require.NoError(t, err)
			assert.Equal(t, c.shape, table.X.Shape())
			same(t, c.x, table.X.Data())
			assert.Equal(t, c.features, table.FeatureNames)
			assert.Equal(t, c.targets, table.TargetNames)
			assert.Equal(t, c.labels, table.Labels)
			assert.Equal(t, c.classes, table.Classes)
			require.Equal(t, c.y == nil, table.Target == nil)
			if c.y != nil {
				assert.Equal(t, []int{c.shape[0], len(c.targets)}, table.Target.Shape())
				assert.Equal(t, c.y, table.Target.Data())
			}
			require.NoError(t, table.check())
		})
	}
}

// same compares numbers, of which any NaN is like another.
func same(t *testing.T, want, got []float32) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		if want[i] != got[i] && !(want[i] != want[i] && got[i] != got[i]) {
			assert.Equal(t, want[i], got[i], "element %d", i)
		}
	}
}

func TestCSVErrors(t *testing.T) {
	many := make([]string, 21)
	for i := range many {
		many[i] = "c" + strconv.Itoa(i)
	}
	for _, c := range []struct {
		csv        CSV
		text, want string
	}{
		{CSV{}, "", "no record, want at least one"},
		{CSV{Header: true}, "\n\n", "no record, want at least one"},
		{CSV{}, "1,2\n\n3\n", "line 3: 1 fields, want 2 as in the first record"},
		{CSV{}, "1,2\n3,4,5\n", "line 2: 3 fields, want 2 as in the first record"},
		{CSV{}, "1,2\n3,abc\n", `line 2, column 2: found "abc", want a number`},
		{CSV{Header: true}, "a,width\n1,2\n3,1 2\n", `line 3, column 2 (width): found "1 2", want a number`},
		{CSV{}, "1,2\n,4\n", "line 2, column 1: found an empty field, want a number"},
		{CSV{}, "0x1p-2", `line 1, column 1: found "0x1p-2", want a number`},
		{CSV{}, "1_000", `line 1, column 1: found "1_000", want a number`},
		{CSV{}, "1e39", `line 1, column 1: found "1e39", want a number within the range of float32`},
		{CSV{}, "nan", `line 1, column 1: found "nan", want a finite number`},
		{CSV{EmptyIsNaN: true}, "1,-Inf", `line 1, column 2: found "-Inf", want a finite number`},
		{CSV{}, strings.Repeat("a", 1000), `line 1, column 1: found "` + strings.Repeat("a", 100) + `"..., want a number`},
		{CSV{}, "\xff\n", `line 1, column 1: found "\xff", want a number`},
		{CSV{}, "\"1\n\",2\n3,x", `line 3, column 2: found "x", want a number`},
		{CSV{Label: "1"}, "1.0,2\n", `line 1, column 1: found "1.0", want an integer label of 32 bits`},
		{CSV{Label: "1"}, "2147483648,2\n", `line 1, column 1: found "2147483648", want an integer label of 32 bits`},
		{CSV{Label: "1", TextLabels: true}, "a,2\n,3", "line 2, column 1: found an empty field, want a label"},
		{CSV{Label: "1", Classes: []string{"a", "b"}}, "a,2\nc,3", `line 2, column 1: found "c", want one of the classes ["a" "b"]`},
		{CSV{Label: "1", Classes: many}, "a,2", `line 1, column 1: found "a", want one of 21 classes`},
		{CSV{Label: "3"}, "1,2\n", `line 1: no column "3", want a number from 1 to 2`},
		{CSV{Label: "kind"}, "1,2\n", `line 1: no column "kind", want a number from 1 to 2`},
		{CSV{Features: []string{"0"}}, "1,2\n", `line 1: no column "0", want a number from 1 to 2`},
		{CSV{Header: true, Targets: []string{"c"}}, "a,b\n1,2\n", `line 1: no column "c", want one of ["a" "b"] or a number from 1 to 2`},
		{CSV{Header: true, Label: "c"}, strings.Join(many, ","), `line 1: no column "c", want a number from 1 to 21`},
		{CSV{Header: true, Label: "a"}, "a,b,a\n1,2,3\n",
			`line 1: columns 1 and 3 are both called "a", want one (a number tells them apart)`},
		{CSV{EmptyIsNaN: true}, "1\n2\n\n3\n", "line 3: an empty line in a table of one column, want a field"},
		{CSV{}, "1\n" + strings.Repeat(",", 100_000), "line 2: more than 100000 columns"},
		{CSV{}, "1,2\n3,\"4\n", `parse error on line 2, column 6: extraneous or missing " in quoted-field`},
		{CSV{}, "1,2\n3,4\"\n", `parse error on line 2, column 4: bare " in non-quoted-field`},
	} {
		table, err := c.csv.Read(strings.NewReader(c.text))
		assert.EqualError(t, err, "dataset: "+c.want)
		assert.Nil(t, table)
	}

	broken := errors.New("broken")
	_, err := CSV{}.Read(iotest.ErrReader(broken))
	assert.ErrorIs(t, err, broken)
}

func TestCSVLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.csv")
	_, err := CSV{}.Load(path)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, path)

	require.NoError(t, os.WriteFile(path, []byte("1,2\n3,x\n"), 0o666))
	_, err = CSV{}.Load(path)
	assert.EqualError(t, err, "dataset: "+path+`: line 2, column 2: found "x", want a number`)
	table, err := CSV{Features: []string{"1"}}.Load(path)
	require.NoError(t, err)
	assert.Equal(t, []float32{1, 3}, table.X.Data())
}

func TestCSVPanics(t *testing.T) {
	for _, comma := range []rune{'"', '\n', '\r', '\ufffd', -1, 0xd800} {
		assert.PanicsWithError(t, "dataset.CSV: Comma is "+strconv.QuoteRune(comma)+", which cannot separate fields",
			func() { CSV{Comma: comma}.Read(strings.NewReader("1")) })
	}
	assert.PanicsWithError(t, `dataset.CSV: Classes are ["a" "a"], want each once`,
		func() { CSV{Classes: []string{"a", "a"}}.Read(strings.NewReader("1")) })
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"", "1,2\n3,4\n", "\ufeffa,b\r\n1,x\r\n", "a,a\n,\n", "\"1\n\",2\n", "1\n\n2\n", "nan,1\n", "\"", "1;2\n", "1e99\n", "\n\n1",
		"\x1b[31m,\u202e\nx,1\n", "\"a\n,\"\"\",\n\",\"\n", strings.Repeat("a", 200) + "\nx\n",
	} {
		f.Add(seed, true, true)
		f.Add(seed, false, false)
	}
	f.Fuzz(func(t *testing.T, text string, header, lenient bool) {
		c := CSV{Header: header, Label: "1", TextLabels: true, EmptyIsNaN: lenient, NonFinite: lenient}
		table, err := c.Read(strings.NewReader(text))
		if err != nil {
			require.Nil(t, table)
			require.True(t, strings.HasPrefix(err.Error(), "dataset: "))
			isShort(t, err)
			return
		}
		require.NoError(t, table.check())
		require.LessOrEqual(t, table.Len(), strings.Count(text, "\n")+1)
		for _, x := range table.X.Data() {
			require.True(t, lenient || !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0))
		}
		for _, label := range table.Labels {
			require.Less(t, int(label), len(table.Classes))
			require.NotEmpty(t, table.Classes[label])
		}
		var b Batch
		for rows := range Batches(table, 3) {
			require.NoError(t, rows.Source.Gather(rows.Index, &b))
		}
	})
}

// table returns a table of 12 examples.
func table(t testing.TB) *Table {
	table, err := CSV{Header: true, Label: "kind", Targets: []string{"y"}}.Read(
		strings.NewReader("kind,y,a,b\n" + strings.Repeat("1,2,3,4\n", 12)))
	require.NoError(t, err)
	return table
}
