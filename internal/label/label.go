// Package label holds the one label with a meaning of its own, for the packages that share it.
package label

// Ignore is the label of a row or step that does not count: PyTorch's default ignore_index.
const Ignore = -100
