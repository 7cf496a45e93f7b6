// The tables: what there is to be set, and how the provider behaves.

package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

//go:embed schema.json
var schemaJSON []byte

//go:embed behaviour.json
var behaviourJSON []byte

type tables struct {
	Provider    block            `json:"provider"`
	Resources   map[string]block `json:"resources"`
	DataSources map[string]block `json:"data_sources"`
	behaviour   map[string]behaviour
}

type block struct {
	Attributes map[string]*attribute `json:"attributes"`
	Blocks     map[string]*nested    `json:"blocks"`
}

type attribute struct {
	Type     json.RawMessage `json:"type"`
	Required bool            `json:"required"`
	Optional bool            `json:"optional"`
	Computed bool            `json:"computed"`
}

type nested struct {
	block
	Nesting  string `json:"nesting"`
	Required bool   `json:"required"`
	One      bool   `json:"one"`
}

type behaviour struct {
	// What ids begin with; "arn" when the id is that, "=name" when it is another attribute's value.
	ID      string `json:"id"`
	Service string `json:"service"`
	// Arguments that only a new resource can have otherwise.
	Replaces []string `json:"replaces"`
	// Arguments that the provider fills in where they are not given.
	Computed []string `json:"computed"`
	// Attributes of others that hold this one's id and keep it from being deleted.
	InUse []string `json:"in_use"`
	// What it does not outlive: the attribute that holds the id, and of what.
	GoneWith map[string]string `json:"gone_with"`
}

func loadTables() (tables, error) {
	var all tables
	if err := json.Unmarshal(schemaJSON, &all); err != nil {
		return all, fmt.Errorf("schema.json: %w", err)
	}
	if err := json.Unmarshal(behaviourJSON, &all.behaviour); err != nil {
		return all, fmt.Errorf("behaviour.json: %w", err)
	}
	for name, schema := range all.Resources {
		its, ok := all.behaviour[name]
		if !ok {
			return all, fmt.Errorf("behaviour.json: nothing of %s", name)
		}
		always := []string{"id"}
		for _, it := range []string{"region", "tags_all"} {
			if schema.Attributes[it] != nil {
				always = append(always, it)
			}
		}
		for _, path := range append(always, its.Computed...) {
			found, err := schema.at(strings.Split(path, "."))
			if err != nil {
				return all, fmt.Errorf("behaviour.json: %s: %w", name, err)
			}
			found.Computed = true
		}
		if schema.Attributes["region"] != nil {
			its.Replaces = append(its.Replaces, "region")
		}
		for _, path := range its.Replaces {
			if _, err := schema.at(strings.Split(path, ".")); err != nil {
				return all, fmt.Errorf("behaviour.json: %s: %w", name, err)
			}
		}
		all.behaviour[name] = its
	}
	for _, schema := range all.DataSources {
		for name, it := range schema.Attributes {
			it.Computed = it.Computed || name == "id" || (it.Optional && name != "filter")
		}
	}
	return all, nil
}

func (b block) at(path []string) (*attribute, error) {
	if len(path) == 2 && b.Blocks[path[0]] != nil {
		return b.Blocks[path[0]].at(path[1:])
	}
	if found := b.Attributes[path[0]]; found != nil && len(path) == 1 {
		return found, nil
	}
	return nil, fmt.Errorf("there is no %s", strings.Join(path, "."))
}

func (b block) kind() tftypes.Type {
	return b.schema().ValueType()
}

func (b block) schema() *tfprotov5.SchemaBlock {
	made := &tfprotov5.SchemaBlock{}
	for _, name := range sorted(b.Attributes) {
		it := b.Attributes[name]
		kind, err := typeOf(it.Type)
		if err != nil {
			panic(fmt.Sprintf("schema.json: %s: %v", name, err))
		}
		made.Attributes = append(made.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: kind, Required: it.Required, Optional: it.Optional, Computed: it.Computed,
		})
	}
	for _, name := range sorted(b.Blocks) {
		it := b.Blocks[name]
		inner := &tfprotov5.SchemaNestedBlock{TypeName: name, Block: it.schema()}
		switch it.Nesting {
		case "list":
			inner.Nesting = tfprotov5.SchemaNestedBlockNestingModeList
		case "set":
			inner.Nesting = tfprotov5.SchemaNestedBlockNestingModeSet
		case "single":
			inner.Nesting = tfprotov5.SchemaNestedBlockNestingModeSingle
		default:
			panic("schema.json: " + name + ": nesting")
		}
		if it.Required {
			inner.MinItems = 1
		}
		if it.One {
			inner.MaxItems = 1
		}
		made.BlockTypes = append(made.BlockTypes, inner)
	}
	return made
}

// Terraform's own form of types.
func typeOf(text json.RawMessage) (tftypes.Type, error) {
	return tftypes.ParseJSONType(text) //nolint:staticcheck // There is no other reader of this form.
}

func sorted[T any](all map[string]T) []string {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
