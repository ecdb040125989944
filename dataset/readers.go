package dataset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"unicode/utf8"

	"github.com/unroll-go/unroll/tensor"
)

// BytesDocument returns a document whose tokens are the bytes of r, 0 to 255. The label of each step is the next byte; the
// last byte is a label only. r is read as the steps are needed, and closed with the document if it is an [io.Closer].
func BytesDocument(r io.Reader) Document {
	d := &tokenDocument{in: bufio.NewReader(r), from: r}
	d.decode = d.decodeBytes
	return d
}

// TextDocument returns a document whose tokens are the characters of r. The label of each step is the next character; the
// last character is a label only. A character that is not in the vocabulary and a byte that is not UTF-8 are errors, as those
// of [Vocabulary.Encode]. r is read as the steps are needed, and closed with the document if it is an [io.Closer].
func TextDocument(r io.Reader, v *Vocabulary) Document {
	d := &tokenDocument{in: bufio.NewReader(r), from: r, vocabulary: v, place: place{line: 1}}
	d.decode = d.decodeText
	return d
}

// tokenDocument is a document of tokens that each predict the next.
type tokenDocument struct {
	in     *bufio.Reader
	from   io.Reader
	decode func(n int) error // appends at least one and at most n tokens to ids, or returns an error
	ids    []int32           // the last of them is the first input of the next call

	vocabulary *Vocabulary // of characters
	place      place       // of the last character
	bytes      int         // number of bytes before
}

// Next implements [Document].
func (d *tokenDocument) Next(n int) (Steps, error) {
	if last := len(d.ids) - 1; last >= 0 {
		d.ids = append(d.ids[:0], d.ids[last])
	}
	for len(d.ids) < 2 {
		if err := d.decode(n + 1 - len(d.ids)); err != nil {
			return Steps{}, err
		}
	}
	last := len(d.ids) - 1
	return Steps{N: last, IDs: d.ids[:last], Labels: d.ids[1:]}, nil
}

// Close implements [io.Closer].
func (d *tokenDocument) Close() error { return closeReader(d.from) }

// decodeBytes is decode for bytes.
func (d *tokenDocument) decodeBytes(n int) error {
	data, err := buffered(d.in, 1)
	if err != nil {
		return at(err, "byte %d", d.bytes)
	}
	data = data[:min(n, len(data))]
	for _, c := range data {
		d.ids = append(d.ids, int32(c))
	}
	d.bytes += len(data)
	_, err = d.in.Discard(len(data))
	return err
}

// decodeText is decode for characters.
func (d *tokenDocument) decodeText(n int) error {
	data, err := buffered(d.in, 1)
	for err == nil && !utf8.FullRune(data) { // the rest of the character has not arrived
		data, err = buffered(d.in, len(data)+1)
	}
	if err != nil && (err != io.EOF || len(data) == 0) {
		return at(err, "line %d, column %d", d.place.line, d.place.column+1)
	}
	used := 0
	for ; n > 0 && (used == 0 || utf8.FullRune(data[used:])); n-- {
		r, size := utf8.DecodeRune(data[used:])
		id, err := d.place.encode(d.vocabulary, r, size, data[used])
		if err != nil {
			return err
		}
		d.ids = append(d.ids, id)
		used += size
	}
	_, err = d.in.Discard(used)
	return err
}

// FramesDocument returns a document of float32 numbers, each of 4 bytes with the lowest first. A frame of r is a step: the
// numbers of its inputs, then those of its targets. r is read as the steps are needed, and closed with the document if it is
// an [io.Closer]. It panics with a [*tensor.UsageError] if inputs is not positive or targets is negative.
func FramesDocument(r io.Reader, inputs, targets int) Document {
	if inputs < 1 || targets < 0 {
		panic(&tensor.UsageError{Where: "dataset.FramesDocument",
			What: fmt.Sprintf("%d inputs, %d targets, want at least 1 input and no negative targets", inputs, targets)})
	}
	size := 4 * (inputs + targets)
	return &frameDocument{in: bufio.NewReaderSize(r, max(4096, size)), from: r, inputs: inputs, targets: targets, size: size}
}

// frameDocument is a document of float32 numbers.
type frameDocument struct {
	in              *bufio.Reader
	from            io.Reader
	inputs, targets int
	size            int // bytes of a frame
	frames          int // number of frames before
	x, target       []float32
}

// Next implements [Document].
func (d *frameDocument) Next(n int) (Steps, error) {
	data, err := buffered(d.in, d.size)
	if err == io.EOF && len(data) > 0 {
		err = fmt.Errorf("%d bytes, want %d: %w", len(data), d.size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return Steps{}, at(err, "frame %d", d.frames)
	}
	n = min(n, len(data)/d.size)
	d.x, d.target = d.x[:0], d.target[:0]
	for frame := range n {
		numbers := data[frame*d.size:][:d.size]
		d.x = appendFloats(d.x, numbers[:4*d.inputs])
		d.target = appendFloats(d.target, numbers[4*d.inputs:])
	}
	d.frames += n
	_, err = d.in.Discard(n * d.size)
	return Steps{N: n, X: d.x, Target: d.target}, err
}

// Close implements [io.Closer].
func (d *frameDocument) Close() error { return closeReader(d.from) }

func appendFloats(s []float32, data []byte) []float32 {
	for ; len(data) > 0; data = data[4:] {
		s = append(s, math.Float32frombits(binary.LittleEndian.Uint32(data)))
	}
	return s
}

// buffered returns everything that has arrived from a reader and has not been taken from its buffer, at least n bytes. With
// an error it returns the bytes before the error.
func buffered(in *bufio.Reader, n int) ([]byte, error) {
	if data, err := in.Peek(n); err != nil {
		return data, err
	}
	return in.Peek(in.Buffered())
}

// at adds a place to an error, but not to io.EOF.
func at(err error, format string, args ...any) error {
	if err == io.EOF {
		return err
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

func closeReader(r io.Reader) error {
	if c, ok := r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Files returns a document for each file. A file is opened when its document begins, and closed with it. read makes the
// document, for example with [TextDocument]; a document that is an [io.Closer] is closed before its file. Errors name the file.
//
//	dataset.Files(os.DirFS(folder), paths, func(r io.Reader) dataset.Document { return dataset.TextDocument(r, vocabulary) })
func Files(folder fs.FS, paths []string, read func(io.Reader) Document) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, path := range paths {
			f, err := folder.Open(path)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&fileDocument{read(struct{ io.Reader }{f}), f, path}, nil) { // the file is closed once, by the fileDocument
				return
			}
		}
	}
}

// fileDocument is the document of a file.
type fileDocument struct {
	Document
	file fs.File
	path string
}

// Next implements [Document].
func (d *fileDocument) Next(n int) (Steps, error) {
	s, err := d.Document.Next(n)
	if err != nil {
		err = at(err, "%s", d.path)
	}
	return s, err
}

// Close implements [io.Closer]: it closes the document that was made of the file, too.
func (d *fileDocument) Close() error {
	var err error
	if c, ok := d.Document.(io.Closer); ok {
		err = c.Close()
	}
	return errors.Join(err, d.file.Close())
}

// Sections cuts size bytes of r, such as a file too large for memory, into parts of about the same length, and returns a
// document for each: as many as there are streams, so that each stream reads a part of its own. unit is the number of bytes
// that belong together: 1 for [BytesDocument], 4 times the numbers of a frame for [FramesDocument], and 0 for UTF-8, which is
// cut between characters. read makes the document of a part. It panics with a [*tensor.UsageError] if parts is not positive or
// size or unit is negative.
func Sections(r io.ReaderAt, size int64, parts, unit int, read func(io.Reader) Document) iter.Seq2[Document, error] {
	if parts < 1 || size < 0 || unit < 0 {
		panic(&tensor.UsageError{Where: "dataset.Sections",
			What: fmt.Sprintf("%d bytes, %d parts, unit %d, want at least 1 part and nothing negative", size, parts, unit)})
	}
	return func(yield func(Document, error) bool) {
		lo := int64(0)
		for i := range int64(parts) {
			hi, err := size, error(nil)
			if n, units := int64(parts), size/int64(max(1, unit)); i+1 < n {
				hi = (units/n*(i+1) + min(i+1, units%n)) * int64(max(1, unit))
				if unit == 0 {
					hi, err = nextCharacter(r, hi, size)
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(read(io.NewSectionReader(r, lo, hi-lo)), nil) {
				return
			}
			lo = hi
		}
	}
}

// nextCharacter returns where the first character of UTF-8 at or behind an offset begins.
func nextCharacter(r io.ReaderAt, offset, size int64) (int64, error) {
	var data [utf8.UTFMax]byte
	n, err := r.ReadAt(data[:min(utf8.UTFMax, size-offset)], offset)
	if err != nil && err != io.EOF {
		return 0, err
	}
	for _, c := range data[:n] {
		if utf8.RuneStart(c) {
			break
		}
		offset++
	}
	return offset, nil
}
