package bounded

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestColumns(t *testing.T) {
	const most = MostColumns
	many := func(field string) string { return strings.Repeat(field, most-1) + "1" }
	for name, c := range map[string]struct {
		text  string
		comma rune
		want  string // of the error, or ""
	}{
		"as many as may be":        {many("1,") + "\n" + many(",") + "\n", ',', ""},
		"one more":                 {many("1,") + ",", ',', "line 1: more than 100000 columns"},
		"in the third line":        {"1,2\n3,\"4\n" + many("1,") + "\"" + many(",") + ",", ',', "line 3: more than 100000 columns"},
		"fields over lines":        {many("\"\n\",") + ",", ',', "line 100000: more than 100000 columns"},
		"within quotes":            {`"` + many(",") + ",\"\n" + `"a""` + many(",") + `,"`, ',', ""},
		"another comma":            {many(",") + ",,", ';', ""},
		"another comma, too often": {many(";") + ";", ';', "line 1: more than 100000 columns"},
		"more than a byte":         {many("→") + "→", '→', "line 1: more than 100000 columns"},
		"beginning like it":        {many("\xe2\x86") + many("⇒") + many("←"), '→', ""},
		"beginning before it":      {many("\xe2\xe2\x86\x92") + "→", '→', "line 1: more than 100000 columns"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, from := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text))} {
				got, err := io.ReadAll(Columns(from, c.comma))
				require.True(t, strings.HasPrefix(c.text, string(got)))
				if c.want == "" {
					require.NoError(t, err)
					assert.Len(t, got, len(c.text))
				} else {
					assert.EqualError(t, err, c.want)
				}
			}
		})
	}
}
