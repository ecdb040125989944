package torchfile

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/internal/quote"
)

// take returns the next n bytes of the pickle.
func (m *machine) take(n int) (string, error) {
	if n < 0 || n > len(m.text) {
		return "", errCut
	}
	s := m.text[:n]
	m.text = m.text[n:]
	return s, nil
}

// number returns the next 1, 2 or 4 bytes of the pickle as a number.
func (m *machine) number(width int) (n uint32, err error) {
	s, err := m.take(width)
	for i := range len(s) {
		n |= uint32(s[i]) << (8 * i)
	}
	return n, err
}

// maxInt is the most bytes of a whole number; seeds have nine.
const maxInt = 16

// long pushes a whole number, in two's complement.
func (m *machine) long() error {
	n, err := m.number(1)
	if err != nil {
		return err
	}
	if n > maxInt {
		return fmt.Errorf("an int of %d bytes, want at most %d", n, maxInt)
	}
	s, err := m.take(int(n))
	if err != nil {
		return err
	}
	b := []byte(s)
	slices.Reverse(b)
	v := new(big.Int).SetBytes(b)
	if n > 0 && b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
	}
	return m.push(v, nil)
}

// lines returns the next two lines of the pickle: a module and a name in it.
func (m *machine) lines() (module, name string, err error) {
	module, rest, ok1 := strings.Cut(m.text, "\n")
	name, rest, ok2 := strings.Cut(rest, "\n")
	if !ok1 || !ok2 {
		return "", "", errCut
	}
	m.text = rest
	return module, name, nil
}

// global pushes a global, if it is one of those that are known.
func (m *machine) global(module, name string, err error) error {
	if err != nil {
		return err
	}
	g := global(module + "." + name)
	switch g {
	case orderedDict, rebuildTensor, rebuildTyped, rebuildParameter, size:
		return m.push(g, nil)
	}
	if storageTypes[g] == "" && dtypes[g] == "" && g != untyped {
		return fmt.Errorf("the file wants %s of Python, which is refused: only tensors, dicts, lists, numbers and texts are read; "+
			"in PyTorch, save model.state_dict()", quote.Name(string(g)))
	}
	return m.push(g, nil)
}

func (m *machine) push(value any, err error) error {
	if err == nil {
		m.stack = append(m.stack, value)
	}
	return err
}

// pop takes n values from the stack, not below the last mark. They are valid until the next push.
func (m *machine) pop(n int) ([]any, error) {
	from := len(m.stack) - n
	if from < 0 || len(m.marks) > 0 && from < m.marks[len(m.marks)-1] {
		return nil, errors.New("the stack has too few values")
	}
	items := m.stack[from:]
	m.stack = m.stack[:from]
	return items, nil
}

// popMark takes the values above the last mark, and the mark, from the stack.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("there is no mark")
	}
	from := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	items := m.stack[from:]
	m.stack = m.stack[:from]
	return items, nil
}

// extend adds items to the list, or to the dict, on the stack.
func (m *machine) extend(toDict bool, items []any, err error) error {
	if err != nil {
		return err
	}
	below := 0
	if len(m.marks) > 0 {
		below = m.marks[len(m.marks)-1]
	}
	if len(m.stack) == below {
		return errors.New("the stack has too few values")
	}
	switch v := m.stack[len(m.stack)-1].(type) {
	case *list:
		if !toDict {
			v.items = append(v.items, items...)
			return nil
		}
	case *dict:
		if toDict && len(items)%2 == 0 {
			v.items = append(v.items, items...)
			return nil
		}
	}
	return fmt.Errorf("%d items cannot be added to %s", len(items), kind(m.stack[len(m.stack)-1]))
}

func (m *machine) put(n uint32, err error) error {
	if err == nil && len(m.stack) == 0 {
		err = errors.New("the stack has too few values")
	}
	if err == nil {
		m.memo[n] = m.stack[len(m.stack)-1]
	}
	return err
}

// reduce returns the value of a call.
func reduce(called, with any) (any, error) {
	args, ok := with.(tuple)
	g, isGlobal := called.(global)
	if !ok || !isGlobal {
		return nil, fmt.Errorf("a call of %s with %s is refused", kind(called), kind(with))
	}
	switch {
	case g == orderedDict && len(args) == 0:
		return &dict{}, nil
	case g == rebuildTensor && (len(args) == 6 || len(args) == 7 && noItems(args[6])):
		return newView(args, "")
	case g == rebuildTyped && (len(args) == 7 || len(args) == 8 && noItems(args[7])):
		dtype, _ := args[6].(global)
		if dtypes[dtype] == "" {
			return nil, fmt.Errorf("a tensor of type %s is refused", kind(args[6]))
		}
		return newView(args, dtypes[dtype])
	case g == rebuildParameter && len(args) == 3:
		if v, ok := args[0].(*view); ok {
			return v, nil
		}
	case g == size && len(args) == 1:
		if v, ok := args[0].(tuple); ok {
			return v, nil
		}
	}
	return nil, fmt.Errorf("a call of %s with these %d arguments is refused", g, len(args))
}

// noItems reports whether the argument metadata of a tensor, such as that it is conjugate, is empty.
func noItems(v any) bool {
	d, ok := v.(*dict)
	return v == nil || ok && len(d.items) == 0
}
