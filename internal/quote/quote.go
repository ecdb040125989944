// Package quote prepares text that comes from a file or a server for an error. The text is quoted, because a terminal
// would act upon control characters in it, and cut, because a name in a file may have megabytes.
package quote

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	mostRunes = 100 // characters of a text or a name
	mostItems = 20  // items of a list
	mostBytes = 500 // of the text of an error
)

// Text returns a text in quotes, with Go's escape sequences, cut after 100 characters.
func Text[S string | []byte](text S) string {
	quoted := fmt.Sprintf("%.*q", mostRunes, text)
	if len(text) > mostRunes && utf8.RuneCountInString(string(text[:min(len(text), mostRunes*utf8.UTFMax+1)])) > mostRunes {
		quoted += "..."
	}
	return quoted
}

// Name returns a name as it is if it is not empty, has at most 100 characters and needs no escape sequence, and as
// [Text] does otherwise.
func Name(name string) string {
	if quoted := Text(name); name == "" || quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// List joins at most 20 items, and tells how many more there are.
func List(items []string, separator string) string {
	if more := len(items) - mostItems; more > 0 {
		return strings.Join(items[:mostItems], separator) + separator + fmt.Sprintf("and %d more", more)
	}
	return strings.Join(items, separator)
}

// Texts returns texts as %q prints them, each as [Text] does and at most 20 as [List] does.
func Texts(texts []string) string { return all(texts, Text) }

// Names returns names as %v prints them, each as [Name] does and at most 20 as [List] does.
func Names(names []string) string { return all(names, Name) }

func all(items []string, shown func(string) string) string {
	items = slices.Clone(items)
	for i, item := range items[:min(len(items), mostItems)] {
		items[i] = shown(item)
	}
	return "[" + List(items, " ") + "]"
}

// Error returns an error that wraps err, whose text may quote a file or a server. Its own text has Go's escape sequences
// instead of what cannot be printed, and is cut after 500 bytes.
func Error(err error) error { return escaped{err} }

type escaped struct{ error }

func (e escaped) Unwrap() error { return e.error }

func (e escaped) Error() string {
	var b strings.Builder
	for text := e.error.Error(); text != ""; {
		if b.Len() >= mostBytes {
			b.WriteString("...")
			break
		}
		r, size := utf8.DecodeRuneInString(text)
		if strconv.IsPrint(r) && text[:size] == string(r) { // an invalid byte is decoded as U+FFFD, which can be printed
			b.WriteRune(r)
		} else {
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}
