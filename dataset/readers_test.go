package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// one returns the documents as a stream takes them.
func one(documents ...Document) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, d := range documents {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// gathered returns the content of all windows as text, and the error of the last.
func gathered(windows iter.Seq[Rows]) (all []string, err error) {
	var b Batch
	for rows := range windows {
		if err != nil {
			return all, errors.New("a window after an error")
		}
		if err = rows.Source.Gather(rows.Index, &b); err == nil {
			all = append(all, contents(&b))
		}
	}
	return all, err
}

// slowly are readers of one content that return it in other pieces.
var slowly = map[string]func(io.Reader) io.Reader{
	"as it comes": func(r io.Reader) io.Reader { return r },
	"byte":        iotest.OneByteReader,
	"half":        iotest.HalfReader,
	"with EOF":    iotest.DataErrReader,
}

const greek = "Ἐν ἀρχῇ\nἦν ὁ λόγος, and the rest in ASCII.\n"

// TestDocumentsOfReaders: however a reader returns its bytes, the windows are those of the same tokens in memory.
func TestDocumentsOfReaders(t *testing.T) {
	v, err := BuildVocabulary(strings.SplitSeq(greek, ""))
	require.NoError(t, err)
	text := strings.Repeat(greek, 80) // longer than the buffer of a reader
	ids, err := v.Encode(text)
	require.NoError(t, err)
	var octets []int32
	for _, c := range []byte(text) {
		octets = append(octets, int32(c))
	}
	series, frames := &Sequences{X: []*tensor.Tensor{tensor.New(400, 3)}, StepTargets: []*tensor.Tensor{tensor.New(400, 2)}}, []byte(nil)
	for step := range 400 {
		for k := range 5 {
			number := float32(5*step + k)
			frames = binary.LittleEndian.AppendUint32(frames, math.Float32bits(number))
			if k < 3 {
				series.X[0].Data()[3*step+k] = number
			} else {
				series.StepTargets[0].Data()[2*step+k-3] = number
			}
		}
	}
	for _, s := range []Streams{{Rows: 1, K1: 7}, {Rows: 2, K1: 2000, K2: 3000}, {Rows: 1, K1: 50, K2: 64, BurnIn: 9}} {
		for _, c := range []struct {
			name   string
			memory *Sequences
			data   []byte
			read   func(io.Reader) Document
		}{
			{"bytes", NextTokens(octets), []byte(text), BytesDocument},
			{"text", NextTokens(ids), []byte(text), func(r io.Reader) Document { return TextDocument(r, v) }},
			{"frames", series, frames, func(r io.Reader) Document { return FramesDocument(r, 3, 2) }},
		} {
			want, err := gathered(s.Batches(Documents(Batches(c.memory, 1))))
			require.NoError(t, err)
			for name, slow := range slowly {
				got, err := gathered(s.Batches(one(c.read(slow(bytes.NewReader(c.data))))))
				require.NoError(t, err)
				require.True(t, slices.Equal(want, got), "%s, %s, %+v", c.name, name, s)
			}
		}
	}
}

// TestReadersThatFail: an error names the document and the place in it, and is that of the window in which it occurs.
func TestReadersThatFail(t *testing.T) {
	v, err := BuildVocabulary(strings.SplitSeq("abc\nλ", ""))
	require.NoError(t, err)
	torn := errors.New("disk torn")
	text := func(r io.Reader) Document { return TextDocument(r, v) }
	frames := func(r io.Reader) Document { return FramesDocument(r, 1, 1) }
	for _, c := range []struct {
		data    string
		end     error // of the reader
		read    func(io.Reader) Document
		windows int // before that of the error
		want    string
	}{
		{"abc", torn, BytesDocument, 0, "byte 3: disk torn"},
		{"abcabca", torn, BytesDocument, 2, "byte 7: disk torn"},
		{"", torn, BytesDocument, 0, "byte 0: disk torn"},
		{"ab\nab", torn, text, 1, "line 2, column 3: disk torn"},
		{"ab\na\xce", torn, text, 1, "line 2, column 2: disk torn"},
		{"ab\nλ", torn, text, 1, "line 2, column 2: disk torn"},
		{"ab\na\xce", nil, text, 1, "line 2, column 2: byte 0xce, want UTF-8"},
		{"ab\na\xce", io.ErrUnexpectedEOF, text, 1, "line 2, column 2: unexpected EOF"},
		{"ab\na\xce\n", nil, text, 1, "line 2, column 2: byte 0xce, want UTF-8"},
		{"ab\nab\nx", nil, text, 1, `line 3, column 1: character "x" (U+0078), want one of the vocabulary's 5 tokens`},
		{"ab\nab\nμ", nil, text, 1, `line 3, column 1: character "μ" (U+03BC), want one of the vocabulary's 5 tokens`},
		{"8bytes..8bytes..3..", nil, frames, 0, "frame 2: 3 bytes, want 8: unexpected EOF"},
		{"8bytes..8bytes..8bytes..3..", torn, frames, 1, "frame 3: disk torn"},
		{"8bytes..8bytes..8bytes..", torn, frames, 1, "frame 3: disk torn"},
	} {
		for name, slow := range slowly {
			r := io.Reader(strings.NewReader(c.data))
			if c.end != nil {
				r = io.MultiReader(r, iotest.ErrReader(c.end))
			}
			windows, err := gathered(Streams{Rows: 1, K1: 3}.Batches(one(BytesDocument(strings.NewReader("")), c.read(slow(r)))))
			if assert.EqualError(t, err, "document 1 of dataset.Streams: "+c.want, "%q %s", c.data, name) && c.end != nil {
				assert.ErrorIs(t, err, c.end)
			}
			assert.Len(t, windows, c.windows, "%q %s", c.data, name)
		}
	}
	never := io.Reader(readerFunc(func([]byte) (int, error) { return 0, nil }))
	_, err = gathered(Streams{Rows: 1, K1: 3}.Batches(one(BytesDocument(never))))
	assert.ErrorIs(t, err, io.ErrNoProgress)
}

// TestTextAsItComes: a character is read as soon as its bytes have arrived, without those behind it.
func TestTextAsItComes(t *testing.T) {
	v, err := BuildVocabulary(strings.SplitSeq("aλ", ""))
	require.NoError(t, err)
	late := io.MultiReader(iotest.OneByteReader(strings.NewReader("aλ")), readerFunc(func([]byte) (int, error) {
		t.Error("waits for more")
		return 0, io.EOF
	}))
	steps, err := TextDocument(late, v).Next(1)
	require.NoError(t, err)
	assert.Equal(t, Steps{N: 1, IDs: []int32{0}, Labels: []int32{1}}, steps)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// FuzzTextDocument: the ids and the errors of a document are those of Encode.
func FuzzTextDocument(f *testing.F) {
	f.Add(greek, 3)
	f.Add("a\xce\nb", 1)
	f.Add("\xf0\x9f\x98", 2)
	f.Add("\ufffd😀", 5)
	v, err := BuildVocabulary(strings.SplitSeq(greek+"\ufffdab", ""))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string, n int) {
		want, wantErr := v.Encode(text)
		d := TextDocument(iotest.OneByteReader(strings.NewReader(text)), v)
		var got []int32
		for {
			s, err := d.Next(max(1, n))
			if err == nil {
				require.Equal(t, s.N, len(s.IDs))
				got = append(got, s.IDs...)
				continue
			}
			if err == io.EOF {
				require.NoError(t, wantErr)
				require.Len(t, got, max(0, len(want)-1))
				if len(got) > 0 {
					require.Equal(t, want[:len(want)-1], got)
				}
			} else {
				require.EqualError(t, wantErr, "dataset: "+err.Error())
			}
			return
		}
	})
}

func TestFiles(t *testing.T) {
	folder := fstest.MapFS{"a.txt": {Data: []byte("abcd")}, "b/empty": {}, "b/c.txt": {Data: []byte("xy")}}
	s := Streams{Rows: 1, K1: 4}
	var b Batch
	for rows := range s.Batches(Files(folder, []string{"a.txt", "b/empty", "b/c.txt"}, BytesDocument)) {
		require.NoError(t, rows.Source.Gather(rows.Index, &b))
		assert.Equal(t, []int32{'a', 'b', 'c', 'x'}, b.IDs)
		assert.Equal(t, []int32{'b', 'c', 'd', 'y'}, b.Labels)
		assert.Equal(t, []bool{true, false, false, true}, b.Begins)
	}
	_, err := gathered(s.Batches(Files(folder, []string{"a.txt", "none"}, BytesDocument)))
	assert.EqualError(t, err, "document 1 of dataset.Streams: open none: file does not exist")
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = gathered(s.Batches(Files(folder, []string{"a.txt"}, func(r io.Reader) Document { return FramesDocument(r, 2, 0) })))
	assert.EqualError(t, err, "document 0 of dataset.Streams: a.txt: frame 0: 4 bytes, want 8: unexpected EOF")

	// A document closes its reader, and no file is open that is not read.
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("abc"), 0o666))
	f, err := os.Open(path)
	require.NoError(t, err)
	_, err = gathered(s.Batches(one(BytesDocument(f))))
	require.NoError(t, err)
	assert.ErrorIs(t, f.Close(), os.ErrClosed)

	// A document that is made of a file is closed once, and before the file.
	closed, torn := 0, errors.New("disk torn")
	read := func(r io.Reader) Document { return closing{BytesDocument(r), &closed, torn} }
	_, err = gathered(s.Batches(Files(os.DirFS(filepath.Dir(path)), []string{"file"}, read)))
	assert.EqualError(t, err, "document 0 of dataset.Streams: disk torn")
	assert.Equal(t, 1, closed)
	_, err = gathered(s.Batches(Files(os.DirFS(filepath.Dir(path)), []string{"file", "file"}, BytesDocument)))
	assert.NoError(t, err)
}

// TestSections: parts of a file are parts of the same bytes in memory, cut between characters and frames.
func TestSections(t *testing.T) {
	v, err := BuildVocabulary(strings.SplitSeq(greek, ""))
	require.NoError(t, err)
	for parts := 1; parts < 80; parts++ {
		var text strings.Builder
		count := 0
		for d, err := range Sections(strings.NewReader(greek), int64(len(greek)), parts, 0, func(r io.Reader) Document {
			part, err := io.ReadAll(r)
			require.NoError(t, err)
			text.Write(part)
			count++
			return TextDocument(bytes.NewReader(part), v)
		}) {
			require.NoError(t, err)
			for {
				_, err := d.Next(3)
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
			}
		}
		assert.Equal(t, greek, text.String(), parts)
		assert.Equal(t, parts, count)
	}
	var sizes []int64
	read := func(r io.Reader) Document {
		sizes = append(sizes, r.(*io.SectionReader).Size())
		return BytesDocument(r)
	}
	for range Sections(strings.NewReader(greek), 50, 4, 4, read) { // 12 frames and 2 bytes
	}
	assert.Equal(t, []int64{12, 12, 12, 14}, sizes)
	sizes = nil
	for range Sections(strings.NewReader(greek), 3, 5, 1, read) {
	}
	assert.Equal(t, []int64{1, 1, 1, 0, 0}, sizes)

	huge := readerAtFunc(func(p []byte, offset int64) (int, error) { return copy(p, "aaaa"), nil })
	sizes = nil
	for d, err := range Sections(huge, 1<<40+3, 2, 0, read) {
		require.NoError(t, err)
		_, err = d.Next(4)
		require.NoError(t, err)
	}
	assert.Equal(t, []int64{1<<39 + 2, 1<<39 + 1}, sizes)

	torn := errors.New("disk torn")
	failing := readerAtFunc(func([]byte, int64) (int, error) { return 0, torn })
	_, err = gathered(Streams{Rows: 2, K1: 3}.Batches(Sections(failing, 100, 2, 0, BytesDocument)))
	assert.EqualError(t, err, "document 0 of dataset.Streams: disk torn")
}

type readerAtFunc func([]byte, int64) (int, error)

func (f readerAtFunc) ReadAt(p []byte, offset int64) (int, error) { return f(p, offset) }

func TestPanicsOfReaders(t *testing.T) {
	panicsWith[*tensor.UsageError](t, "dataset.FramesDocument: 0 inputs, 1 targets, want at least 1 input and no negative targets",
		func() { FramesDocument(nil, 0, 1) })
	panicsWith[*tensor.UsageError](t, "dataset.FramesDocument: 1 inputs, -1 targets, want at least 1 input and no negative targets",
		func() { FramesDocument(nil, 1, -1) })
	panicsWith[*tensor.UsageError](t, "dataset.Sections: 9 bytes, 0 parts, unit 1, want at least 1 part and nothing negative",
		func() { Sections(nil, 9, 0, 1, nil) })
}
