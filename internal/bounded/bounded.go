// Package bounded reads data whose size a file's header announces, without trusting the header: it allocates memory in
// proportion to the bytes that have arrived.
package bounded

import "io"

// piece is the number of bytes that are read at a time.
const piece = 256 << 10

// Read reads size bytes. Whatever size is, it allocates at most twice the bytes that have arrived and 256 KiB. If r ends
// early, Read returns the bytes that have arrived and [io.ErrUnexpectedEOF].
func Read(r io.Reader, size int) ([]byte, error) {
	var pieces [][]byte
	have := 0
	for have < size {
		p := make([]byte, min(size-have, piece))
		n, err := io.ReadFull(r, p)
		have += n
		pieces = append(pieces, p[:n])
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return join(pieces, have), err
		}
	}
	return join(pieces, have), nil
}

// join returns the pieces as one slice. Appending each piece to one slice as it arrives would take three times the memory
// whenever the slice is moved.
func join(pieces [][]byte, size int) []byte {
	if len(pieces) == 1 {
		return pieces[0]
	}
	all := make([]byte, 0, size)
	for _, p := range pieces {
		all = append(all, p...)
	}
	return all
}
