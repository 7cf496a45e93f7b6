// Terraform's values, as JSON and as what is known later.

package main

import (
	"encoding/json"
	"math/big"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// The fields of an object or a map; none of what is null or not known.
func object(value tftypes.Value) map[string]tftypes.Value {
	fields := map[string]tftypes.Value{}
	if value.IsKnown() && !value.IsNull() {
		if err := value.As(&fields); err != nil {
			panic(err)
		}
	}
	return fields
}

func elements(value tftypes.Value) []tftypes.Value {
	var all []tftypes.Value
	if value.IsKnown() && !value.IsNull() {
		if err := value.As(&all); err != nil {
			panic(err)
		}
	}
	return all
}

// A configuration with what the provider fills in marked as known later.
func later(schema block, value tftypes.Value) tftypes.Value {
	fields := object(value)
	for name, attribute := range schema.Attributes {
		if attribute.Computed && fields[name].IsNull() {
			fields[name] = tftypes.NewValue(fields[name].Type(), tftypes.UnknownValue)
		}
	}
	for name, nested := range schema.Blocks {
		if nested.Nesting == "single" || !fields[name].IsKnown() || fields[name].IsNull() {
			continue
		}
		all := elements(fields[name])
		for i := range all {
			all[i] = later(nested.block, all[i])
		}
		fields[name] = tftypes.NewValue(fields[name].Type(), all)
	}
	return tftypes.NewValue(value.Type(), fields)
}

// Whether two values differ at a path, in any element of a list on the way.
func differs(a, b tftypes.Value, path []string) bool {
	x, y := object(a)[path[0]], object(b)[path[0]]
	if len(path) == 1 {
		return !x.Equal(y)
	}
	some, others := elements(x), elements(y)
	if len(some) != len(others) {
		return true
	}
	for i := range some {
		if differs(some[i], others[i], path[1:]) {
			return true
		}
	}
	return false
}

// What marks that a value is known when it is applied.
type unknown struct{}

func toJSON(value tftypes.Value) any {
	kind := value.Type()
	switch {
	case !value.IsKnown():
		return unknown{}
	case value.IsNull():
		return nil
	case kind.Is(tftypes.String):
		var text string
		must(value.As(&text))
		return text
	case kind.Is(tftypes.Bool):
		var is bool
		must(value.As(&is))
		return is
	case kind.Is(tftypes.Number):
		number := new(big.Float)
		must(value.As(&number))
		return json.Number(number.Text('g', -1))
	case kind.Is(tftypes.Object{}), kind.Is(tftypes.Map{}):
		fields := map[string]any{}
		for name, it := range object(value) {
			fields[name] = toJSON(it)
		}
		return fields
	default:
		all := []any{}
		for _, it := range elements(value) {
			all = append(all, toJSON(it))
		}
		return all
	}
}

func fromJSON(kind tftypes.Type, value any) (tftypes.Value, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return tftypes.Value{}, err
	}
	return tftypes.ValueFromJSON(text, kind) //nolint:staticcheck // There is no other reader of this form.
}

// Gives what nobody said a value of its type.
func fill(kind tftypes.Type, value any) any {
	switch kind := kind.(type) {
	case tftypes.Object:
		fields, ok := value.(map[string]any)
		if !ok {
			if _, later := value.(unknown); !later {
				return value
			}
			fields = map[string]any{}
			for name := range kind.AttributeTypes {
				fields[name] = unknown{}
			}
		}
		for name, inner := range kind.AttributeTypes {
			fields[name] = fill(inner, fields[name])
		}
		return fields
	case tftypes.List:
		return fillAll(kind.ElementType, value)
	case tftypes.Set:
		return fillAll(kind.ElementType, value)
	}
	if _, later := value.(unknown); !later {
		return value
	}
	switch {
	case kind.Is(tftypes.String):
		return ""
	case kind.Is(tftypes.Number):
		return json.Number("0")
	case kind.Is(tftypes.Bool):
		return false
	default:
		return map[string]any{}
	}
}

func fillAll(kind tftypes.Type, value any) any {
	all, ok := value.([]any)
	if !ok {
		if _, later := value.(unknown); later {
			return []any{}
		}
		return value
	}
	for i := range all {
		all[i] = fill(kind, all[i])
	}
	return all
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func attributePath(schema block, path string) *tftypes.AttributePath {
	made := tftypes.NewAttributePath()
	for i := 0; i < len(path); {
		end := i
		for end < len(path) && path[end] != '.' {
			end++
		}
		made = made.WithAttributeName(path[i:end])
		if end < len(path) {
			made = made.WithElementKeyInt(0)
		}
		i = end + 1
	}
	return made
}
