package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
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
	text     string // what is still to be read
	stack    []any
	marks    []int // lengths of the stack
	memo     map[uint32]any
	storages []*storage // all that were made
}

var errCut = errors.New("the pickle is cut short")

// unpickle returns the value that a pickle makes, the storages that it names, and the text after the pickle.
func unpickle(text string) (value any, storages []*storage, rest string, err error) {
	m := &machine{text: text, memo: map[uint32]any{}}
	for {
		at := len(text) - len(m.text)
		op, err := m.number(1)
		if err == nil && op == opStop {
			if len(m.stack) != 1 || len(m.marks) > 0 {
				return nil, nil, "", fmt.Errorf("the pickle ends at byte %d with %d values, want 1", at, len(m.stack))
			}
			return m.stack[0], m.storages, m.text, nil
		}
		if err == nil {
			err = m.run(byte(op))
		}
		if err != nil {
			return nil, nil, "", fmt.Errorf("byte %d of the pickle: %w", at, err)
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
		m.storages = append(m.storages, s)
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
