// Package tensorboard writes the files that TensorBoard shows: curves of numbers, histograms of weights and gradients,
// pictures and texts, each at the steps of a training.
//
//	w, err := tensorboard.Create("runs/first")
//	if err != nil {
//		return err
//	}
//	for step := range steps {
//		loss, err := training.Run(batch)
//		...
//		w.Scalar("loss/train", step, float64(loss))
//		if step%1000 == 0 {
//			for name, p := range params.Named() {
//				w.Histogram("weights/"+name, step, p.Value.Data())
//				w.Histogram("gradients/"+name, step, training.Grads().Of(p))
//			}
//		}
//	}
//	return w.Close()
//
// TensorBoard is a program in Python that shows all runs below a folder in the browser, also while they are still training:
//
//	pip install tensorboard
//	tensorboard --logdir runs
//
// A tag is the name of a curve. TensorBoard puts tags into groups by the text before their first slash, and draws the same
// tag of several runs, which are folders, into one diagram.
//
// # Errors
//
// A curve is no reason to end a training. The methods of a [Writer] therefore return no error. The first error of the
// operating system, such as a full disk, ends the file, what is written later is dropped, and [Writer.Err] and
// [Writer.Close] return the error. Only a mistake of the caller, such as an empty tag, panics.
//
// # What a killed run leaves
//
// Each value is handed to the operating system at once, in one piece and without a buffer of the program. A run that is
// killed has therefore lost nothing; a power failure may cost the seconds that the operating system had not yet written. A
// record that was cut short is found by its checksum, and TensorBoard shows all before it.
//
// A run that goes on calls [Resume], which begins a new file beside the earlier ones; TensorBoard shows the files of a
// folder as one run.
//
// # The format
//
// A file is a sequence of records: the length (8 bytes, little-endian), its masked checksum (4 bytes), the bytes of a
// protocol buffer "Event" and their masked checksum. The checksum is CRC-32 with Castagnoli's polynomial, rotated right by
// 15 bits, plus 0xa282ead8 (tensorflow/core/lib/io/record_writer.h and tensorflow/core/lib/hash/crc32c.h). The fields are
// those of event.proto, summary.proto and tensor.proto in the folder tensorboard/compat/proto of TensorBoard 2.21.
package tensorboard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/tensor"
	"google.golang.org/protobuf/encoding/protowire"
)

// Writer writes one event file. Goroutines may share a Writer. The methods of a nil *Writer do nothing, so that a program
// that is watched only if its user asks for it has no conditions in its loop.
type Writer struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first error of the file; nothing is written after it
}

// Create makes the folder dir if it does not exist, and begins a new event file in it. The file is named
// events.out.tfevents.SECONDS.HOST.NANOSECONDS, so that the files of a folder lie in the order of their creation. Files
// that are there already stay as they are, and TensorBoard shows all files of a folder as one run: a run that starts anew
// takes a new folder.
func Create(dir string) (*Writer, error) {
	w, err := create(dir)
	if err != nil {
		return nil, fmt.Errorf("tensorboard.Create: %w", err)
	}
	return w, nil
}

// Resume is [Create] for a run that was interrupted and goes on from its checkpoint: step is the first step that the run
// writes again. Earlier files of the folder may hold values of this step and later ones, which were written after the
// checkpoint. TensorBoard stops showing those of a curve when the resumed run writes the same curve again, or at once with
// the option --load_fast=false. A program may call Resume for a new run, too, with step 0.
func Resume(dir string, step int) (*Writer, error) {
	w, err := create(dir)
	if err != nil {
		return nil, fmt.Errorf("tensorboard.Resume: %w", err)
	}
	session := protowire.AppendVarint(field(nil, sessionStatus, protowire.VarintType), sessionStart)
	w.write(protowire.AppendBytes(field(newEvent(step), eventSession, protowire.BytesType), session))
	return w, nil
}

// create begins a file with the event that tells the version of the format.
func create(dir string) (*Writer, error) {
	file, err := createFile(dir)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: file}
	w.write(protowire.AppendString(field(newEvent(0), eventVersion, protowire.BytesType), "brain.Event:2"))
	return w, nil
}

// createFile makes the folder and a file whose name no other file has.
func createFile(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	host = strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_' // what a file's name cannot hold on some system
	}, host)
	for {
		now := time.Now()
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%09d", now.Unix(), host, now.Nanosecond())
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, os.ErrExist) {
			return file, err
		}
	}
}

// Err returns the first error of writing, or nil. After an error the Writer writes nothing more.
func (w *Writer) Err() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close waits until the file is on the disk and closes it. It returns the first error of writing, also of earlier calls.
// What is written after Close is dropped.
func (w *Writer) Close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return w.err
	}
	w.fail(w.file.Sync())
	w.fail(w.file.Close())
	w.file = nil
	return w.err
}

// fail keeps the first error.
func (w *Writer) fail(err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("tensorboard.Writer: %w", err)
	}
}

// Scalar adds a point to the curve of the tag. TensorBoard keeps it as a float32; it shows NaN and infinities as such.
// Scalar panics with a [*tensor.UsageError] if the tag is empty or is not UTF-8, as do the other methods.
func (w *Writer) Scalar(tag string, step int, value float64) {
	if w == nil {
		return
	}
	w.add("Scalar", tag, step, protowire.AppendFixed32(field(nil, valueSimple, protowire.Fixed32Type), math.Float32bits(float32(value))))
}

// Histogram adds the distribution of values, such as the weights or the gradient of a layer. The buckets are those of
// TensorFlow: their limits are 0 and plus and minus 1e-12 times the powers of 1.1, up to 1e20. NaN and infinities are not
// among the numbers of a histogram; if there are any, the curve TAG/not_finite tells how many. Where no number is finite,
// that curve is all that is written.
func (w *Writer) Histogram(tag string, step int, values []float32) {
	if w == nil {
		return
	}
	h := newHistogram(values)
	if h.num > 0 {
		w.add("Histogram", tag, step, protowire.AppendBytes(field(nil, valueHistogram, protowire.BytesType), h.encode()))
	}
	if missing := len(values) - int(h.num); missing > 0 {
		w.Scalar(tag+"/not_finite", step, float64(missing))
	}
}

// Image adds a picture, as a PNG. A picture that PNG cannot hold, such as one without a pixel, panics with a
// [*tensor.UsageError].
func (w *Writer) Image(tag string, step int, picture image.Image) {
	if w == nil {
		return
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, picture); err != nil {
		panic(&tensor.UsageError{Where: "tensorboard.Image", What: err.Error()})
	}
	size := picture.Bounds().Size()
	m := protowire.AppendVarint(field(nil, imageHeight, protowire.VarintType), uint64(size.Y))
	m = protowire.AppendVarint(field(m, imageWidth, protowire.VarintType), uint64(size.X))
	m = protowire.AppendBytes(field(m, imageEncoded, protowire.BytesType), encoded.Bytes())
	w.add("Image", tag, step, protowire.AppendBytes(field(nil, valueImage, protowire.BytesType), m))
}

// Text adds a text, which TensorBoard shows as Markdown. Bytes that are not UTF-8 become U+FFFD.
func (w *Writer) Text(tag string, step int, text string) {
	if w == nil {
		return
	}
	// A tensor without dimensions: one string.
	t := protowire.AppendVarint(field(nil, tensorType, protowire.VarintType), tensorString)
	t = protowire.AppendBytes(field(t, tensorShape, protowire.BytesType), nil)
	t = protowire.AppendString(field(t, tensorStrings, protowire.BytesType), strings.ToValidUTF8(text, "\ufffd"))
	plugin := protowire.AppendString(field(nil, pluginName, protowire.BytesType), "text")
	metadata := protowire.AppendBytes(field(nil, metadataPlugin, protowire.BytesType), plugin)
	v := protowire.AppendBytes(field(nil, valueTensor, protowire.BytesType), t)
	w.add("Text", tag, step, protowire.AppendBytes(field(v, valueMetadata, protowire.BytesType), metadata))
}

// add writes an event with one value, whose fields besides the tag are given.
func (w *Writer) add(method, tag string, step int, value []byte) {
	if tag == "" || !utf8.ValidString(tag) {
		panic(&tensor.UsageError{Where: "tensorboard." + method, What: fmt.Sprintf("the tag is %s, want a name in UTF-8 that is not empty", quote.Text(tag))})
	}
	tagged := protowire.AppendString(field(nil, valueTag, protowire.BytesType), tag)
	summary := protowire.AppendBytes(field(nil, summaryValue, protowire.BytesType), append(tagged, value...))
	w.write(protowire.AppendBytes(field(newEvent(step), eventSummary, protowire.BytesType), summary))
}

// newEvent returns the fields that all events have.
func newEvent(step int) []byte {
	seconds := float64(time.Now().UnixNano()) / 1e9
	e := protowire.AppendFixed64(field(nil, eventTime, protowire.Fixed64Type), math.Float64bits(seconds))
	return protowire.AppendVarint(field(e, eventStep, protowire.VarintType), uint64(int64(step)))
}

// write writes one record, in one call of the operating system.
func (w *Writer) write(event []byte) {
	r := binary.LittleEndian.AppendUint64(make([]byte, 0, len(event)+16), uint64(len(event)))
	r = binary.LittleEndian.AppendUint32(r, masked(r))
	r = append(r, event...)
	r = binary.LittleEndian.AppendUint32(r, masked(event))
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != nil && w.err == nil {
		_, err := w.file.Write(r)
		w.fail(err)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked returns the checksum that stands in a file. It is masked because the checksum of data that holds its own checksum
// is weak.
func masked(data []byte) uint32 {
	return bits.RotateLeft32(crc32.Checksum(data, castagnoli), -15) + 0xa282ead8
}

// field appends the number and the type of a field, which its value follows.
func field(to []byte, number protowire.Number, kind protowire.Type) []byte {
	return protowire.AppendTag(to, number, kind)
}

// The numbers of the fields, and the values of enumerations.
const (
	eventTime, eventStep, eventVersion, eventSummary, eventSession protowire.Number = 1, 2, 3, 5, 7
	sessionStatus                                                  protowire.Number = 1
	summaryValue                                                   protowire.Number = 1

	valueTag, valueSimple, valueImage, valueHistogram, valueTensor, valueMetadata protowire.Number = 1, 2, 4, 5, 8, 9

	imageHeight, imageWidth, imageEncoded  protowire.Number = 1, 2, 4
	tensorType, tensorShape, tensorStrings protowire.Number = 1, 2, 8
	metadataPlugin, pluginName             protowire.Number = 1, 1

	sessionStart = 1 // SessionLog.START
	tensorString = 7 // DT_STRING
)
