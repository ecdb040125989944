package main

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/unroll-go/unroll/dataset"
)

// longest is the largest number of characters of a document. Longer files are cut, so that the streams read parts of many files at a
// time.
const longest = 8192

// document is a text: a file, or a piece of one.
type document struct {
	path       string
	from, size int64 // in bytes
}

// size returns the number of characters of all documents.
func size(documents []document) (n int64) {
	for _, d := range documents {
		n += d.size
	}
	return n
}

// read finds the documents of a file or a folder, or of Go's standard library if path is "". Every 20th file, or piece of a file, is
// held out.
func read(path, match string) (train, heldOut []document, err error) {
	without := func(folder string) bool { return strings.HasPrefix(folder, ".") }
	if path == "" {
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return nil, nil, fmt.Errorf("asking the command go for its source: %w; -text names another text", err)
		}
		path, match = filepath.Join(strings.TrimSpace(string(root)), "src"), "*.go"
		without = func(folder string) bool { return folder == "cmd" || folder == "vendor" || folder == "testdata" }
	}
	files, err := find(path, match, without)
	if err != nil {
		return nil, nil, err
	}
	n := min(longest, size(files)/100+2)
	pieces := 0
	for i, f := range files {
		for at := int64(0); at < f.size; at += n {
			number := pieces // held out are files or, where these are few, pieces
			if len(files) >= 100 {
				number = i
			}
			piece := document{f.path, at, min(n, f.size-at)}
			switch {
			case piece.size < 2: // there is no next character
			case number%20 == 19:
				heldOut = append(heldOut, piece)
			default:
				train = append(train, piece)
			}
			pieces++
		}
	}
	if len(train) == 0 || len(heldOut) == 0 {
		return nil, nil, fmt.Errorf("%s has only %d characters in files that match %q", path, size(files), match)
	}
	return train, heldOut, nil
}

// find returns the files under a path, which may be a link, in the order of their names, as documents.
func find(path, match string, without func(folder string) bool) (files []document, err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil { // WalkDir follows no link
		return nil, err
	}
	return files, filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && name != path && without(e.Name()) {
			return fs.SkipDir
		}
		if fits, err := filepath.Match(match, e.Name()); err != nil {
			return usageError{fmt.Errorf("-match is %q: %w", match, err)}
		} else if !fits && name != path {
			return nil
		}
		info, err := os.Stat(name) // of the file that a link names
		if err == nil && info.Mode().IsRegular() {
			files = append(files, document{path: name, size: info.Size()})
		}
		return err
	})
}

// open returns the documents one by one, in an order that follows from the seed.
func open(documents []document, seed, epoch uint64) iter.Seq2[dataset.Document, error] {
	return func(yield func(dataset.Document, error) bool) {
		for _, i := range rand.New(rand.NewPCG(seed, epoch)).Perm(len(documents)) {
			d := documents[i]
			f, err := os.Open(d.path)
			if err != nil {
				yield(nil, err)
				return
			}
			piece := struct {
				io.Reader
				io.Closer
			}{io.NewSectionReader(f, d.from, d.size), f}
			if !yield(dataset.BytesDocument(piece), nil) {
				return
			}
		}
	}
}
