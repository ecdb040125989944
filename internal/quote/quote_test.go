package quote

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                              `""`,
		"plain":                         `"plain"`,
		"\x1b[2J\a\u202e":               `"\x1b[2J\a\u202e"`,
		"\xff\"":                        `"\xff\""`,
		strings.Repeat("é", 100):        `"` + strings.Repeat("é", 100) + `"`,
		strings.Repeat("é", 101):        `"` + strings.Repeat("é", 100) + `"...`,
		strings.Repeat("\x00", 4<<20):   `"` + strings.Repeat(`\x00`, 100) + `"...`,
		strings.Repeat("\xff", 4<<20-1): `"` + strings.Repeat(`\xff`, 100) + `"...`,
	} {
		assert.Equal(t, want, Text(text))
		assert.Equal(t, want, Text([]byte(text)))
	}
}

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"rnn.weight_ih_l0":       "rnn.weight_ih_l0",
		"Größe, m":               "Größe, m",
		"":                       `""`,
		"a\nb":                   `"a\nb"`,
		`a"`:                     `"a\""`,
		"\xff":                   `"\xff"`,
		strings.Repeat("a", 100): strings.Repeat("a", 100),
		strings.Repeat("a", 101): `"` + strings.Repeat("a", 100) + `"...`,
	} {
		assert.Equal(t, want, Name(name))
	}
}

func TestList(t *testing.T) {
	items := strings.Split("abcdefghijklmnopqrstuvwxyz", "")
	assert.Equal(t, "", List(nil, ", "))
	assert.Equal(t, "a", List(items[:1], ", "))
	assert.Equal(t, strings.Join(items[:20], "; "), List(items[:20], "; "))
	assert.Equal(t, strings.Join(items[:20], "; ")+"; and 1 more", List(items[:21], "; "))
	assert.Equal(t, strings.Join(items[:20], ", ")+", and 6 more", List(items, ", "))

	assert.Equal(t, `["a" "\n"]`, Texts([]string{"a", "\n"}))
	assert.Equal(t, `[]`, Texts(nil))
	assert.Equal(t, `[a "\n"]`, Names([]string{"a", "\n"}))
	assert.True(t, strings.HasSuffix(Texts(items), ` "t" and 6 more]`), Texts(items))
}

func TestError(t *testing.T) {
	inner := &fs.PathError{Op: "open", Path: "a\x1b[2J\xff", Err: fs.ErrNotExist}
	err := Error(inner)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.EqualError(t, err, `open a\x1b[2J\xff: file does not exist`)
	long := Error(errors.New(strings.Repeat("é", 4<<20))).Error()
	assert.Equal(t, strings.Repeat("é", 250)+"...", long)
}
