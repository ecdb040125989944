package dataset

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func characters(t testing.TB, text string, special ...string) *Vocabulary {
	v, err := BuildVocabulary(strings.SplitSeq(text, ""), special...)
	require.NoError(t, err)
	return v
}

func TestVocabulary(t *testing.T) {
	v := characters(t, "héllo wörld\n漢é")
	assert.Equal(t, "\n dhlorwéö漢", v.Decode(upTo(v.Len())), "in the order of code points")
	assert.Equal(t, 11, v.Len())
	ids, err := v.Encode("old 漢\nö")
	require.NoError(t, err)
	assert.Equal(t, "old 漢\nö", v.Decode(ids))
	assert.Len(t, ids, 7)
	id, ok := v.ID("é")
	assert.True(t, ok)
	assert.Equal(t, "é", v.Token(id))
	_, ok = v.ID("x")
	assert.False(t, ok)
	for _, id := range []int32{-1, 11} {
		assert.Panics(t, func() { v.Token(id) })
		assert.Panics(t, func() { v.Decode([]int32{id}) })
	}
	ids, err = v.Encode("")
	require.NoError(t, err)
	assert.Empty(t, ids)

	words, err := BuildVocabulary(strings.FieldsSeq("to be or not to be <pad>"), "<pad>", Unknown)
	require.NoError(t, err)
	ids, err = words.EncodeTokens(strings.FieldsSeq("be brave or <pad>"))
	require.NoError(t, err)
	assert.Equal(t, []int32{2, 1, 4, 0}, ids)
	assert.Equal(t, "be<unk>or<pad>", words.Decode(ids))
	_, ok = words.ID("brave")
	assert.False(t, ok)
	assert.Equal(t, 6, words.Len())
}

func TestVocabularyUnknownCharacter(t *testing.T) {
	v := characters(t, "ab\n")
	for text, want := range map[string]string{
		"abxa":        `line 1, column 3: character "x" (U+0078), want one of the vocabulary's 3 tokens`,
		"ab\nab\n\né": `line 4, column 1: character "é" (U+00E9), want one of the vocabulary's 3 tokens`,
		"a\r\n":       `line 1, column 2: character "\r" (U+000D), want one of the vocabulary's 3 tokens`,
		"ab\n\xff":    `line 2, column 1: byte 0xff, want UTF-8`,
	} {
		ids, err := v.Encode(text)
		assert.EqualError(t, err, "dataset: "+want)
		assert.Nil(t, ids)
	}
	_, err := v.EncodeTokens(strings.FieldsSeq("a b abc"))
	assert.EqualError(t, err, `dataset: token 2 is "abc", want one of the vocabulary's 3`)

	v = characters(t, "ab\n", Unknown)
	ids, err := v.Encode("axb漢")
	require.NoError(t, err)
	assert.Equal(t, []int32{2, 0, 3, 0}, ids)
	_, err = v.Encode("é\xffa")
	assert.EqualError(t, err, "dataset: line 1, column 2: byte 0xff, want UTF-8")
}

func TestVocabularyRefusals(t *testing.T) {
	for _, c := range []struct {
		tokens []string
		want   string
	}{
		{nil, "vocabulary without tokens, want at least one"},
		{[]string{"a", ""}, `token 1 of the vocabulary is "", want text in UTF-8`},
		{[]string{"\xff"}, `token 0 of the vocabulary is "\xff", want text in UTF-8`},
		{[]string{"a", "b", "a"}, `token 2 of the vocabulary is "a", as token 0, want each once`},
	} {
		v, err := NewVocabulary(c.tokens...)
		assert.EqualError(t, err, "dataset: "+c.want)
		assert.Nil(t, v)
		_, err = BuildVocabulary(slices.Values([]string{}), c.tokens...)
		assert.EqualError(t, err, "dataset: "+c.want)
	}
	_, err := BuildVocabulary(strings.SplitSeq("a\xffb", ""))
	assert.EqualError(t, err, `dataset: token 2 of the vocabulary is "\xff", want text in UTF-8`)

	tokens := []string{"a", "b"}
	v, err := NewVocabulary(tokens...)
	require.NoError(t, err)
	tokens[0] = "c"
	assert.Equal(t, "ab", v.Decode([]int32{0, 1}), "the tokens are copied")
}

func TestVocabularyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vocabulary.json")
	_, err := LoadVocabulary(path)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, path)

	v := characters(t, "b\n\"é\u2028<", Unknown)
	require.NoError(t, v.Save(path))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "[\n \"<unk>\",\n \"\\n\",\n \"\\\"\",\n \"<\",\n \"b\",\n \"é\",\n \"\\u2028\"\n]\n", string(content))
	read, err := LoadVocabulary(path)
	require.NoError(t, err)
	assert.Equal(t, v, read)
	assert.Error(t, v.Save(filepath.Join(path, "no folder")))

	for content, want := range map[string]string{
		"":              "vocabulary, want an array of strings: unexpected EOF",
		`{"a":1}`:       "vocabulary, want an array of strings",
		`["a",1]`:       "vocabulary, want an array of strings: json: cannot unmarshal number into Go value of type string",
		`["a"] x`:       "vocabulary, want nothing after the array of strings",
		`["a"]]`:        "vocabulary, want nothing after the array of strings",
		`["a"}`:         "vocabulary, want an array of strings: invalid character '}' after array element",
		`["a" "b"]`:     "vocabulary, want an array of strings: expected comma after array element",
		`["a",]`:        "vocabulary, want an array of strings: invalid character ']' looking for beginning of value",
		`[]`:            "vocabulary without tokens, want at least one",
		`["a",null]`:    `token 1 of the vocabulary is "", want text in UTF-8`,
		`["a","a"]`:     `token 1 of the vocabulary is "a", as token 0, want each once`,
		"null":          "vocabulary, want an array of strings",
		"[\"\xff\"]":    "vocabulary is not UTF-8",
		`["\ud800"] `:   "",
		`["a","\u0062"`: "vocabulary, want an array of strings: unexpected EOF",
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
		_, err := LoadVocabulary(path)
		if want == "" {
			assert.NoError(t, err)
			continue
		}
		assert.EqualError(t, err, "dataset: "+path+": "+want)
	}

	// As a part of other JSON.
	type model struct{ Letters *Vocabulary }
	text, err := json.Marshal(model{v})
	require.NoError(t, err)
	var m model
	require.NoError(t, json.Unmarshal(text, &m))
	assert.Equal(t, v, m.Letters)
	assert.ErrorContains(t, json.Unmarshal([]byte(`{"Letters":["a",""]}`), &m), `dataset: token 1 of the vocabulary is ""`)
	assert.Equal(t, v, m.Letters, "it stays as it was")
}

func FuzzVocabulary(f *testing.F) {
	for _, seed := range []string{"", "null", `["a","b"]`, `["a","a"]`, `["<unk>","\n"]`, `[1]`, "[\"\xff\"]", `["\ud800"]`, `["",]`,
		"[\"\u202e\",\"\u202e\"]", `["a",1e999]`, `["a"]]`, `["a" "b"]`} {
		f.Add([]byte(seed), "ab")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		v := &Vocabulary{}
		if err := v.UnmarshalJSON(data); err != nil {
			require.Equal(t, &Vocabulary{}, v)
			isShort(t, err)
			return
		}
		again, err := json.Marshal(v)
		require.NoError(t, err)
		w := &Vocabulary{}
		require.NoError(t, json.Unmarshal(again, w))
		require.Equal(t, v, w)
		for i := range int32(v.Len()) {
			id, ok := v.ID(v.Token(i))
			require.True(t, ok)
			require.Equal(t, i, id)
		}
		if _, ok := v.ID(Unknown); ok {
			return
		}
		if ids, err := v.Encode(text); err == nil {
			require.Equal(t, text, v.Decode(ids))
		}
	})
}
