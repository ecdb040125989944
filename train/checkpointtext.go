package train

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/tensor"
)

// paramsText is what a file holds of an [autograd.Params] besides the values.
type paramsText struct {
	Frozen []string // names of the frozen weights, without the prefix of the view
}

// stepText is what a file holds of a [Step].
type stepText struct {
	Runs   uint64
	Seed   uint64
	Shards int
}

// textOf returns the text of a part in the metadata, or "" if its tensors are all that there is.
func textOf(name string, part any) (string, error) {
	switch part := part.(type) {
	case *autograd.Params:
		text := paramsText{Frozen: []string{}}
		for p := range part.All() {
			if p.Frozen {
				text.Frozen = append(text.Frozen, p.Name[len(part.Prefix()):])
			}
		}
		return encode(text)
	case optim.Groups:
		return kindOf(part) + " {}", nil // each member has its own settings
	case optim.Optimizer:
		settings, err := encode(part)
		return kindOf(part) + " " + settings, err
	case *Step:
		return encode(stepText{part.Runs, part.params.Seed(), part.Shards})
	case *History:
		return encode(part.columns)
	case Settings:
		return encode(part)
	case *tensor.Tensor, map[string]*tensor.Tensor, interface {
		Tensors() map[string]*tensor.Tensor
	}:
		return "", nil
	}
	to := pointer(name, part)
	text, err := encodeValue(part)
	if err == nil {
		err = decodeValue(text, reflect.New(to.Type()).Interface()) // better now than when the training is to continue
	}
	return text, err
}

// kindOf names the type of an optimizer and, of Groups, the number of the members.
func kindOf(part optim.Optimizer) string {
	if groups, ok := part.(optim.Groups); ok {
		return fmt.Sprintf("%T[%d]", groups, len(groups))
	}
	return fmt.Sprintf("%T", part)
}

func encodeValue(part any) (string, error) {
	if part, ok := part.(binaryValue); ok {
		data, err := part.MarshalBinary()
		return base64.StdEncoding.EncodeToString(data), err
	}
	return encode(part)
}

func decodeValue(text string, to any) error {
	if to, ok := to.(binaryValue); ok {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return err
		}
		return to.UnmarshalBinary(data)
	}
	return decode(text, to)
}

// binaryValue is a part that is kept as bytes.
type binaryValue interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// pointer returns the value to which a part points.
func pointer(name string, part any) reflect.Value {
	v := reflect.ValueOf(part)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(&autograd.UsageError{Where: "train.Checkpoint", What: fmt.Sprintf("the part %s is a %T, want a pointer to it", name, part)})
	}
	return v.Elem()
}

func encode(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
