// A stand-in for the provider hashicorp/aws, for tests: it has the schemas of that provider for what our modules use (schema.json) and what
// is documented of how it behaves (behaviour.json), and keeps its cloud in a JSON file, which a test may change as people change things in
// AWS' console. It speaks with no AWS, and shows nothing of what AWS itself would say.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

func main() {
	tables, err := loadTables()
	if err == nil {
		server := &provider{tables: tables, cloud: cloud{path: os.Getenv("STAND_IN_CLOUD")}}
		err = tf5server.Serve("registry.terraform.io/hashicorp/aws", func() tfprotov5.ProviderServer { return server })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type provider struct {
	// What is not overridden is not called by Terraform for what we use.
	tfprotov5.ProviderServer
	tables      tables
	cloud       cloud
	region      string
	defaultTags map[string]tftypes.Value
}

func (p *provider) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	return nil, errors.New("not asked by Terraform")
}

func (p *provider) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	response := &tfprotov5.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov5.ServerCapabilities{},
		Provider:           &tfprotov5.Schema{Block: p.tables.Provider.schema()},
		ResourceSchemas:    map[string]*tfprotov5.Schema{},
		DataSourceSchemas:  map[string]*tfprotov5.Schema{},
	}
	for name, it := range p.tables.Resources {
		response.ResourceSchemas[name] = &tfprotov5.Schema{Block: it.schema()}
	}
	for name, it := range p.tables.DataSources {
		response.DataSourceSchemas[name] = &tfprotov5.Schema{Block: it.schema()}
	}
	return response, nil
}

func (p *provider) PrepareProviderConfig(_ context.Context, request *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: request.Config}, nil
}

func (p *provider) ConfigureProvider(_ context.Context, request *tfprotov5.ConfigureProviderRequest) (*tfprotov5.ConfigureProviderResponse, error) {
	response := &tfprotov5.ConfigureProviderResponse{}
	config, err := request.Config.Unmarshal(p.tables.Provider.kind())
	if err != nil {
		return nil, err
	}
	fields := object(config)
	if err := fields["region"].As(&p.region); err != nil || p.region == "" {
		response.Diagnostics = refuse("no region", "the provider is given no region")
	}
	for _, block := range elements(fields["default_tags"]) {
		p.defaultTags = object(object(block)["tags"])
	}
	if p.cloud.path == "" {
		response.Diagnostics = refuse("no cloud", "STAND_IN_CLOUD must name the file of the cloud")
	}
	return response, nil
}

func (p *provider) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func (p *provider) ValidateResourceTypeConfig(context.Context, *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	return &tfprotov5.ValidateResourceTypeConfigResponse{}, nil
}

func (p *provider) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

func (p *provider) UpgradeResourceState(_ context.Context, request *tfprotov5.UpgradeResourceStateRequest) (*tfprotov5.UpgradeResourceStateResponse, error) {
	kind := p.tables.Resources[request.TypeName].kind()
	state, err := request.RawState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	upgraded, err := tfprotov5.NewDynamicValue(kind, state)
	return &tfprotov5.UpgradeResourceStateResponse{UpgradedState: &upgraded}, err
}

// ReadResource tells how a resource is in the cloud: not at all when it is gone.
func (p *provider) ReadResource(_ context.Context, request *tfprotov5.ReadResourceRequest) (*tfprotov5.ReadResourceResponse, error) {
	kind := p.tables.Resources[request.TypeName].kind()
	state, err := request.CurrentState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	var id string
	if err := object(state)["id"].As(&id); err != nil {
		return nil, err
	}
	found := tftypes.NewValue(kind, nil)
	err = p.cloud.with(func(all *contents) error {
		if fields := p.look(all, request.TypeName, id); fields != nil {
			found, err = fromJSON(kind, fields)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	read, err := tfprotov5.NewDynamicValue(kind, found)
	return &tfprotov5.ReadResourceResponse{NewState: &read, Private: request.Private}, err
}

// PlanResourceChange says what will be known later, and what cannot be changed but by a new resource.
func (p *provider) PlanResourceChange(_ context.Context, request *tfprotov5.PlanResourceChangeRequest) (*tfprotov5.PlanResourceChangeResponse, error) {
	schema, behaviour := p.tables.Resources[request.TypeName], p.tables.behaviour[request.TypeName]
	kind := schema.kind()
	prior, err := request.PriorState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	proposed, err := request.ProposedNewState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	response := &tfprotov5.PlanResourceChangeResponse{PlannedState: request.ProposedNewState, PlannedPrivate: request.PriorPrivate}
	if proposed.IsNull() {
		return response, nil
	}
	fields := object(proposed)
	if prior.IsNull() {
		fields = object(later(schema, proposed))
	}
	if _, ok := schema.Attributes["tags_all"]; ok {
		fields["tags_all"] = p.allTags(fields["tags"])
	}
	planned := tftypes.NewValue(kind, fields)
	if !prior.IsNull() {
		for _, path := range behaviour.Replaces {
			if differs(prior, planned, strings.Split(path, ".")) {
				response.RequiresReplace = append(response.RequiresReplace, attributePath(schema, path))
			}
		}
	}
	value, err := tfprotov5.NewDynamicValue(kind, planned)
	response.PlannedState = &value
	return response, err
}

// ApplyResourceChange makes, changes or deletes a resource of the cloud.
func (p *provider) ApplyResourceChange(_ context.Context, request *tfprotov5.ApplyResourceChangeRequest) (*tfprotov5.ApplyResourceChangeResponse, error) {
	kind := p.tables.Resources[request.TypeName].kind()
	prior, err := request.PriorState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	planned, err := request.PlannedState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	made := tftypes.NewValue(kind, nil)
	response := &tfprotov5.ApplyResourceChangeResponse{NewState: request.PriorState, Private: request.PlannedPrivate}
	err = p.cloud.with(func(all *contents) error {
		if planned.IsNull() {
			return p.remove(all, request.TypeName, prior)
		}
		fields, err := p.put(all, request.TypeName, planned)
		if err != nil {
			return err
		}
		made, err = fromJSON(kind, fields)
		return err
	})
	if err != nil {
		response.Diagnostics = refuse("the cloud refuses it", request.TypeName+": "+err.Error())
		return response, nil
	}
	value, err := tfprotov5.NewDynamicValue(kind, made)
	response.NewState = &value
	return response, err
}

func (p *provider) ReadDataSource(_ context.Context, request *tfprotov5.ReadDataSourceRequest) (*tfprotov5.ReadDataSourceResponse, error) {
	schema := p.tables.DataSources[request.TypeName]
	kind := schema.kind()
	config, err := request.Config.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	var found tftypes.Value
	err = p.cloud.with(func(all *contents) error {
		fields := toJSON(later(schema, config)).(map[string]any)
		p.answer(all, request.TypeName, fields)
		found, err = fromJSON(kind, fill(kind, fields))
		return err
	})
	if err != nil {
		return nil, err
	}
	state, err := tfprotov5.NewDynamicValue(kind, found)
	return &tfprotov5.ReadDataSourceResponse{State: &state}, err
}

func (p *provider) allTags(tags tftypes.Value) tftypes.Value {
	kind := tftypes.Map{ElementType: tftypes.String}
	if !tags.IsFullyKnown() {
		return tftypes.NewValue(kind, tftypes.UnknownValue)
	}
	all := map[string]tftypes.Value{}
	for _, some := range []map[string]tftypes.Value{p.defaultTags, object(tags)} {
		for name, value := range some {
			all[name] = value
		}
	}
	return tftypes.NewValue(kind, all)
}

func refuse(summary, detail string) []*tfprotov5.Diagnostic {
	return []*tfprotov5.Diagnostic{{Severity: tfprotov5.DiagnosticSeverityError, Summary: summary, Detail: detail}}
}
