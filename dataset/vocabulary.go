package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/tensor"
)

// Unknown is the token that replaces each token which is not in a vocabulary, if the vocabulary contains Unknown itself.
// Encoding with a vocabulary without it returns an error for such tokens.
const Unknown = "<unk>"

// Vocabulary numbers tokens from 0: characters, words, or any other pieces of text. The number of a token is its id. A
// Vocabulary does not change and may be used by many goroutines. Its JSON is the array of its tokens in the order of ids.
type Vocabulary struct {
	tokens []string
	ids    map[string]int32
	ascii  [utf8.RuneSelf]int32 // id+1 of each token of one byte, which are looked up without the map; 0: not a token
}

// NewVocabulary returns the vocabulary in which tokens[i] has the id i. It is an error if there are no tokens, or if a token
// is empty, is not UTF-8 or occurs twice.
func NewVocabulary(tokens ...string) (*Vocabulary, error) {
	v := sizedVocabulary(len(tokens))
	for _, token := range tokens {
		if err := v.add(token); err != nil {
			return nil, fmt.Errorf("dataset: %w", err)
		}
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("dataset: %w", errNoTokens)
	}
	return v, nil
}

var errNoTokens = errors.New("vocabulary without tokens, want at least one")

// sizedVocabulary returns a vocabulary without tokens, with memory for n.
func sizedVocabulary(n int) *Vocabulary {
	return &Vocabulary{tokens: make([]string, 0, n), ids: make(map[string]int32, n)}
}

// add gives the next id to a token. Its errors have no prefix, so that callers can add theirs.
func (v *Vocabulary) add(token string) error {
	i := len(v.tokens)
	if token == "" || !utf8.ValidString(token) {
		return fmt.Errorf("token %d of the vocabulary is %s, want text in UTF-8", i, quote.Text(token))
	}
	if first, ok := v.ids[token]; ok {
		return fmt.Errorf("token %d of the vocabulary is %s, as token %d, want each once", i, quote.Text(token), first)
	}
	v.ids[token] = int32(i)
	if len(token) == 1 {
		v.ascii[token[0]] = int32(i) + 1
	}
	v.tokens = append(v.tokens, token)
	return nil
}

// BuildVocabulary returns the vocabulary of the tokens of a text: first the special tokens, such as [Unknown], in the order
// given, then every other token of the text, sorted by bytes, which is the order of Unicode code points. The ids therefore
// do not depend on the order of the text. Its errors are those of [NewVocabulary].
//
//	dataset.BuildVocabulary(strings.SplitSeq(text, ""))                 // characters
//	dataset.BuildVocabulary(strings.FieldsSeq(text), dataset.Unknown)   // words, and one token for all words not in text
func BuildVocabulary(tokens iter.Seq[string], special ...string) (*Vocabulary, error) {
	seen := map[string]bool{}
	for _, token := range special {
		seen[token] = true
	}
	var found []string
	for token := range tokens {
		if !seen[token] {
			token = strings.Clone(token) // a substring would keep the whole text in memory
			seen[token] = true
			found = append(found, token)
		}
	}
	slices.Sort(found)
	return NewVocabulary(slices.Concat(special, found)...)
}

// Len returns the number of tokens.
func (v *Vocabulary) Len() int { return len(v.tokens) }

// ID returns the id of a token and whether the token is in the vocabulary. It does not replace a token by [Unknown].
func (v *Vocabulary) ID(token string) (id int32, ok bool) {
	id, ok = v.ids[token]
	return id, ok
}

// Token returns the token of an id. It panics with a [*tensor.UsageError] if the id is not within 0 and Len()-1.
func (v *Vocabulary) Token(id int32) string {
	if id < 0 || int(id) >= len(v.tokens) {
		panic(&tensor.UsageError{Where: "dataset.Vocabulary", What: fmt.Sprintf("token %d, want 0 to %d", id, len(v.tokens)-1)})
	}
	return v.tokens[id]
}

// lookUp returns the id of a token, or else the id of Unknown.
func (v *Vocabulary) lookUp(token string) (id int32, ok bool) {
	if id, ok = v.ids[token]; !ok {
		id, ok = v.ids[Unknown]
	}
	return id, ok
}

// lookUpCharacter is lookUp of a token of one character.
func (v *Vocabulary) lookUpCharacter(r rune) (id int32, ok bool) {
	if r < utf8.RuneSelf && v.ascii[r] > 0 {
		return v.ascii[r] - 1, true
	}
	return v.lookUp(string(r))
}

// Encode returns the ids of the characters of a text. A character that is not in the vocabulary and a byte that is not UTF-8
// are errors, which name it and its line and column, both counted from 1, with columns counted in characters.
func (v *Vocabulary) Encode(text string) ([]int32, error) {
	ids := make([]int32, 0, utf8.RuneCountInString(text))
	place := place{line: 1}
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		id, err := place.encode(v, r, n, text[0])
		if err != nil {
			return nil, fmt.Errorf("dataset: %w", err)
		}
		ids = append(ids, id)
		text = text[n:]
	}
	return ids, nil
}

// place is the place of a character in a text: its line, counted from 1, and its column. The column of the first character
// of a line is 1.
type place struct{ line, column int }

// encode moves the place to the next character, which has so many bytes, and returns its id. first is its first byte.
func (p *place) encode(v *Vocabulary, r rune, bytes int, first byte) (int32, error) {
	p.column++
	if r == utf8.RuneError && bytes == 1 {
		return 0, fmt.Errorf("line %d, column %d: byte %#02x, want UTF-8", p.line, p.column, first)
	}
	id, ok := v.lookUpCharacter(r)
	if !ok {
		return 0, fmt.Errorf("line %d, column %d: character %q (%U), want one of the vocabulary's %d tokens",
			p.line, p.column, string(r), r, v.Len())
	}
	if r == '\n' {
		p.line, p.column = p.line+1, 0
	}
	return id, nil
}

// EncodeTokens returns the ids of tokens, such as strings.FieldsSeq(text). A token that is not in the vocabulary is an error,
// which gives the token and its place among the tokens, counted from 0.
func (v *Vocabulary) EncodeTokens(tokens iter.Seq[string]) ([]int32, error) {
	var ids []int32
	for token := range tokens {
		id, ok := v.lookUp(token)
		if !ok {
			return nil, fmt.Errorf("dataset: token %d is %s, want one of the vocabulary's %d", len(ids), quote.Text(token), v.Len())
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Decode returns the tokens of ids, joined without separators. It panics as [Vocabulary.Token] does.
func (v *Vocabulary) Decode(ids []int32) string {
	var text strings.Builder
	for _, id := range ids {
		text.WriteString(v.Token(id))
	}
	return text.String()
}

// MarshalJSON implements [json.Marshaler].
func (v *Vocabulary) MarshalJSON() ([]byte, error) { return json.Marshal(v.tokens) }

// UnmarshalJSON implements [json.Unmarshaler]. Its errors are those of [NewVocabulary] and of package json, and an error for
// JSON that is not UTF-8. After an error v is unchanged.
func (v *Vocabulary) UnmarshalJSON(data []byte) error {
	read, err := parse(data)
	if err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	*v = *read
	return nil
}

// parse reads the JSON of a vocabulary. Its errors, like the errors of add, have no prefix.
func parse(data []byte) (*Vocabulary, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("vocabulary is not UTF-8") // package json would replace the bytes silently
	}
	// Only few tokens have less than three characters, which take six bytes of the array. Memory for every comma, or for an
	// array of values that are no tokens, would be out of proportion to the text.
	v := sizedVocabulary(min(bytes.Count(data, []byte(","))+1, len(data)/6))
	d := json.NewDecoder(bytes.NewReader(data))
	notArray := func(err error) error {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("vocabulary, want an array of strings: %w", quote.Error(err))
	}
	if start, err := d.Token(); err != nil {
		return nil, notArray(err)
	} else if start != json.Delim('[') {
		return nil, errors.New("vocabulary, want an array of strings")
	}
	var token string
	for d.More() {
		token = "" // null leaves it as it is
		if err := d.Decode(&token); err != nil {
			return nil, notArray(err)
		}
		if err := v.add(token); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil { // the bracket at the end
		return nil, notArray(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("vocabulary, want nothing after the array of strings")
	}
	if v.Len() == 0 {
		return nil, errNoTokens
	}
	return v, nil
}

// Save writes the vocabulary to a file, as JSON with one token a line. If it fails, the file is as it was before. A symbolic
// link is replaced, not followed; a folder, a named pipe, a socket or a device at path is an error.
func (v *Vocabulary) Save(path string) error {
	err := atomicfile.Write(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		return e.Encode(v.tokens)
	})
	if err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	return nil
}

// LoadVocabulary reads a file that [Vocabulary.Save] wrote, or any JSON array of strings. It allocates at most 32 times the
// bytes of the file and 1 MiB, garbage included.
func LoadVocabulary(path string) (*Vocabulary, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	v, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", path, err)
	}
	return v, nil
}
