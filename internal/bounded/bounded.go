// Package bounded reads what a header announces without trusting it: memory follows the
// bytes that have arrived.
package bounded

import "io"

// piece is how much is read at a time.
const piece = 256 << 10

// Read reads size bytes. It holds at most twice what has arrived and a piece, whatever size says. If
// the reader ends early, the error is [io.ErrUnexpectedEOF] and the data is what came.
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

// join makes one slice of the pieces: growing one from the start would hold three times its
// content whenever it moves.
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
