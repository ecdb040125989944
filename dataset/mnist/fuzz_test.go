package mnist

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lawfulRead calls ReadIDX and checks that it allocates no more than it may for the given number of unpacked bytes.
func lawfulRead(t *testing.T, input []byte, unpacked int) (x *IDX, err error) {
	spent := allocated(func() { x, err = ReadIDX(bytes.NewReader(input)) })
	require.LessOrEqual(t, spent, uint64(2*unpacked+1<<20))
	return x, err
}

func FuzzIDX(f *testing.F) {
	good := append(header(2, 3), "abcdef"...)
	for _, seed := range [][]byte{
		nil, good, good[:3], good[:11], good[:len(good)-1], append(good[:len(good):len(good)], 0),
		header(), header(1, 1, 1, 1, 1), header(0), header(math.MaxUint32), header(1<<31, 1<<31, 4),
		append(header(1, 2, 1, 2), "abcd"...), changed(good, 1, 1), changed(good, 2, 13), changed(good, 3, 255),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if bytes.HasPrefix(input, gzipMagic) {
			return // FuzzGzip's
		}
		if x, err := lawfulRead(t, input, len(input)); err == nil {
			require.Equal(t, input, encode(x))
		}
	})
}

// FuzzGzip reads the input itself or, if plain is set, the input packed and with one byte changed.
func FuzzGzip(f *testing.F) {
	good := append(header(2, 3), "abcdef"...)
	packed := pack(good)
	for _, seed := range [][]byte{
		packed, packed[:2], packed[:9], packed[:20], packed[:len(packed)-1], changed(packed, -8, 1), changed(packed, -4, 1),
		changed(packed, 3, 0xff), changed(packed, 3, 4), join(packed, packed), join(packed, []byte{0}),
		pack(append(good, make([]byte, 1<<20)...)), pack(header(math.MaxUint32)), pack(append(header(20<<20), make([]byte, 20<<20)...)),
	} {
		f.Add(seed, false, uint16(0), byte(0))
	}
	for at := range uint16(40) {
		f.Add(good, true, at, byte(1)<<(at%8))
	}
	f.Add(good, true, uint16(0), byte(0))

	z := gzip.NewWriter(nil)
	f.Fuzz(func(t *testing.T, input []byte, plain bool, at uint16, flip byte) {
		stream := input
		if plain {
			var b bytes.Buffer
			z.Reset(&b)
			z.Write(input)
			require.NoError(t, z.Close())
			stream = b.Bytes()
			stream[int(at)%len(stream)] ^= flip
		}
		if !bytes.HasPrefix(stream, gzipMagic) {
			return // FuzzIDX's
		}
		content, contentErr := unpackAll(stream)
		if len(content) > 1<<26 {
			return // slow, and tells no more
		}
		x, err := lawfulRead(t, stream, min(len(content), mostInflation*len(stream)+inflationRoom+1<<16))
		if err == nil {
			require.NoError(t, contentErr)
			require.Equal(t, content, encode(x))
		}
		if err != nil && strings.Contains(err.Error(), "100 times") {
			require.Greater(t, len(content), inflationRoom)
			return
		}
		if plain && flip == 0 && !bytes.HasPrefix(input, gzipMagic) {
			_, wantErr := ReadIDX(bytes.NewReader(input))
			require.Equal(t, wantErr, err, "packing changes nothing")
		}
	})
}

// unpackAll unpacks all members of a stream with package gzip.
func unpackAll(stream []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, 1<<26+1))
}
