package bounded

import (
	"archive/zip"
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEntry(t *testing.T) {
	content := bytes.Repeat([]byte("ab"), piece)
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		var packed bytes.Buffer
		w := zip.NewWriter(&packed)
		part, err := w.CreateHeader(&zip.FileHeader{Name: "x", Method: method})
		require.NoError(t, err)
		_, err = part.Write(content)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		open := func() *zip.File {
			archive, err := zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
			require.NoError(t, err)
			return archive.File[0]
		}
		got, err := Entry(open())
		require.NoError(t, err)
		assert.Equal(t, content, got)

		wrong := open()
		wrong.CRC32++
		_, err = Entry(wrong)
		assert.ErrorContains(t, err, "checksum")
		short := open()
		short.UncompressedSize64--
		_, err = Entry(short)
		assert.Error(t, err)
	}
}
