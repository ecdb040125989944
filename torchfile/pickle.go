package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/internal/quote"
)

// The values that a pickle makes are nil (None), bool, *big.Int, float64, string and these. Lists and dicts are pointers because the
// pickle adds to them after it has stored them elsewhere.
type (
	tuple  []any
	list   struct{ items []any }
	dict   struct{ items []any } // key, value, key, value, ...
	global string                // a name of a Python module, such as "torch.FloatStorage"
)

// kind returns the name of a value's type in errors.
func kind(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case *big.Int:
		return "an int"
	case float64:
		return "a float"
	case string:
		return "a text"
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *dict:
		return "a dict"
	case global:
		return string(v)
	case *storage:
		return "a storage"
	default:
		return "a tensor"
	}
}

// The globals that a pickle may call. Those that stand for types are in [storageTypes] and [dtypes].
const (
	orderedDict      global = "collections.OrderedDict"
	rebuildTensor    global = "torch._utils._rebuild_tensor_v2"
	rebuildTyped     global = "torch._utils._rebuild_tensor_v3"
	rebuildParameter global = "torch._utils._rebuild_parameter"
	size             global = "torch.Size"
)

// The opcodes of protocols 2 to 5 (pickletools.py of Python) that the values above need.
const (
	opProto, opStop, opFrame                                 = 0x80, '.', 0x95
	opMark, opNone, opTrue, opFalse                          = '(', 'N', 0x88, 0x89
	opInt1, opInt2, opInt4, opLong1, opFloat                 = 'K', 'M', 'J', 0x8a, 'G'
	opText1, opText4                                         = 0x8c, 'X'
	opEmptyTuple, opTuple, opTuple1, opTuple2, opTuple3      = ')', 't', 0x85, 0x86, 0x87
	opEmptyList, opAppend, opAppends                         = ']', 'a', 'e'
	opEmptyDict, opSetItem, opSetItems                       = '}', 's', 'u'
	opPut1, opPut4, opMemoize, opGet1, opGet4                = 'q', 'r', 0x94, 'h', 'j'
	opGlobal, opStackGlobal, opReduce, opBuild, opPersistent = 'c', 0x93, 'R', 'b', 'Q'
)

// refused are the names of opcodes that a user may ask about.
var refused = map[byte]string{
	'i': "INST", 'o': "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 'P': "PERSID", 'B': "BINBYTES",
	'C': "SHORT_BINBYTES", 0x8e: "BINBYTES8", 0x96: "BYTEARRAY8", 'T': "BINSTRING", 'U': "SHORT_BINSTRING", 0x8b: "LONG4", 0x8d: "BINUNICODE8",
	0x8f: "EMPTY_SET", 0x90: "ADDITEMS", 0x91: "FROZENSET", '0': "POP", '1': "POP_MARK", '2': "DUP", 'I': "INT", 'L': "LONG", 'F': "FLOAT",
	'S': "STRING", 'V': "UNICODE", 'd': "DICT", 'l': "LIST", 'p': "PUT", 'g': "GET", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
}

// machine runs a pickle.
type machine struct {
	text  string // what is still to be read
	stack []any
	marks []int // lengths of the stack
	memo  map[uint32]any
}

var errCut = errors.New("the pickle is cut short")

// unpickle returns the value that a pickle makes.
func unpickle(text string) (any, error) {
	m := &machine{text: text, memo: map[uint32]any{}}
	for {
		at := len(text) - len(m.text)
		op, err := m.number(1)
		if err == nil && op == opStop {
			if len(m.stack) != 1 || len(m.marks) > 0 || m.text != "" {
				return nil, fmt.Errorf("the pickle ends at byte %d with %d values and %d bytes after it, want 1 value", at, len(m.stack), len(m.text))
			}
			return m.stack[0], nil
		}
		if err == nil {
			err = m.run(byte(op))
		}
		if err != nil {
			return nil, fmt.Errorf("byte %d of the pickle: %w", at, err)
		}
	}
}

func (m *machine) run(op byte) error {
	switch op {
	case opProto:
		if version, err := m.number(1); err != nil {
			return err
		} else if version < 2 || version > 5 {
			return fmt.Errorf("protocol %d, want 2 to 5", version)
		}
		return nil
	case opFrame:
		_, err := m.take(8)
		return err
	case opMark:
		m.marks = append(m.marks, len(m.stack))
		return nil
	case opNone:
		return m.push(nil, nil)
	case opTrue, opFalse:
		return m.push(op == opTrue, nil)
	case opInt1, opInt2:
		n, err := m.number(1 + int(op-opInt1)/2)
		return m.push(big.NewInt(int64(n)), err)
	case opInt4:
		n, err := m.number(4)
		return m.push(big.NewInt(int64(int32(n))), err)
	case opLong1:
		return m.long()
	case opFloat:
		b, err := m.take(8)
		if err != nil {
			return err
		}
		return m.push(math.Float64frombits(binary.BigEndian.Uint64([]byte(b))), nil)
	case opText1, opText4:
		width := 1
		if op == opText4 {
			width = 4
		}
		n, err := m.number(width)
		if err != nil {
			return err
		}
		s, err := m.take(int(n))
		return m.push(s, err)
	case opEmptyTuple:
		return m.push(tuple(nil), nil)
	case opTuple:
		items, err := m.popMark()
		return m.push(tuple(slices.Clone(items)), err)
	case opTuple1, opTuple2, opTuple3:
		items, err := m.pop(1 + int(op-opTuple1))
		return m.push(tuple(slices.Clone(items)), err)
	case opEmptyList:
		return m.push(&list{}, nil)
	case opEmptyDict:
		return m.push(&dict{}, nil)
	case opAppend, opSetItem:
		n := 1
		if op == opSetItem {
			n = 2
		}
		items, err := m.pop(n)
		return m.extend(op == opSetItem, items, err)
	case opAppends, opSetItems:
		items, err := m.popMark()
		return m.extend(op == opSetItems, items, err)
	case opPut1, opPut4:
		n, err := m.number(1 + 3*int(op-opPut1))
		return m.put(n, err)
	case opMemoize:
		return m.put(uint32(len(m.memo)), nil)
	case opGet1, opGet4:
		width := 1
		if op == opGet4 {
			width = 4
		}
		n, err := m.number(width)
		value, ok := m.memo[n]
		if err == nil && !ok {
			err = fmt.Errorf("the memo has no entry %d", n)
		}
		return m.push(value, err)
	case opGlobal:
		return m.global(m.lines())
	case opStackGlobal:
		names, err := m.pop(2)
		if err != nil {
			return err
		}
		module, ok1 := names[0].(string)
		name, ok2 := names[1].(string)
		if !ok1 || !ok2 {
			return errors.New("the name of a global is no text")
		}
		return m.global(module, name, nil)
	case opPersistent:
		id, err := m.pop(1)
		if err != nil {
			return err
		}
		s, err := newStorage(id[0])
		return m.push(s, err)
	case opReduce:
		call, err := m.pop(2)
		if err != nil {
			return err
		}
		value, err := reduce(call[0], call[1])
		return m.push(value, err)
	case opBuild: // sets attributes, such as _metadata of a state_dict, which has the versions of the modules
		v, err := m.pop(2)
		if err != nil {
			return err
		}
		if _, ok := v[0].(*dict); !ok {
			return fmt.Errorf("BUILD of %s is refused; a dict alone may have attributes, which are not read", kind(v[0]))
		}
		return m.push(v[0], nil)
	}
	if name := refused[op]; name != "" {
		return fmt.Errorf("opcode %s is refused", name)
	}
	return fmt.Errorf("opcode 0x%02x is refused", op)
}

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
