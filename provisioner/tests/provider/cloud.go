// The cloud: a file of resources, by type and id.

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

const account = "123456789012"

type cloud struct {
	lock sync.Mutex
	path string
}

type contents struct {
	// How many resources were ever made: ids are counted.
	Made int `json:"made"`
	// The newest image, and the zones of the region.
	Image     string                               `json:"image"`
	Zones     []string                             `json:"zones"`
	Resources map[string]map[string]map[string]any `json:"resources"`
}

func (c *cloud) with(do func(*contents) error) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	// Also against other processes; a test that holds it has a slow cloud.
	other, err := os.OpenFile(c.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	all := contents{Image: "ami-00000000000000001", Zones: []string{"a", "b", "c"}}
	text, err := os.ReadFile(c.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&all); err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
	}
	if all.Resources == nil {
		all.Resources = map[string]map[string]map[string]any{}
	}
	if err := do(&all); err != nil {
		return err
	}
	now, err := json.MarshalIndent(all, "", " ")
	if err != nil || bytes.Equal(text, now) {
		return err
	}
	if err := os.WriteFile(c.path+".new", now, 0o600); err != nil {
		return err
	}
	return os.Rename(c.path+".new", c.path)
}

// A resource as the cloud has it; nil when it is gone.
func (p *provider) look(all *contents, name, id string) map[string]any {
	fields := all.Resources[name][id]
	if fields == nil || fields["instance_state"] == "terminated" {
		return nil
	}
	for attribute, of := range p.tables.behaviour[name].GoneWith {
		if other, ok := fields[attribute].(string); ok && other != "" && p.look(all, of, other) == nil {
			return nil
		}
	}
	if name == "aws_ec2_instance_state" {
		fields["state"] = all.Resources["aws_instance"][text(fields, "instance_id")]["instance_state"]
	}
	return fields
}

func (p *provider) remove(all *contents, name string, prior tftypes.Value) error {
	id := text(toJSON(prior).(map[string]any), "id")
	for _, use := range p.tables.behaviour[name].InUse {
		of, attribute, _ := strings.Cut(use, ".")
		for other := range all.Resources[of] {
			if fields := p.look(all, of, other); fields != nil && holds(fields[attribute], id) {
				return fmt.Errorf("%s is in use by %s %s", id, of, other)
			}
		}
	}
	delete(all.Resources[name], id)
	return nil
}

func (p *provider) put(all *contents, name string, planned tftypes.Value) (map[string]any, error) {
	kind := planned.Type()
	fields := toJSON(planned).(map[string]any)
	if fields["id"] == (unknown{}) {
		if err := p.create(all, name, fields); err != nil {
			return nil, err
		}
	}
	fields = fill(kind, fields).(map[string]any)
	if name == "aws_ec2_instance_state" {
		all.Resources["aws_instance"][text(fields, "instance_id")]["instance_state"] = fields["state"]
	}
	if all.Resources[name] == nil {
		all.Resources[name] = map[string]map[string]any{}
	}
	all.Resources[name][text(fields, "id")] = fields
	return fields, nil
}

// Gives a new resource its id, its addresses and what else others refer to.
func (p *provider) create(all *contents, name string, fields map[string]any) error {
	set := func(attribute string, value any) {
		if old, ok := fields[attribute]; ok && old == (unknown{}) {
			fields[attribute] = value
		}
	}
	get := func(of, id, attribute string) string { return text(all.Resources[of][id], attribute) }
	all.Made++
	number := fmt.Sprintf("%017x", all.Made)
	its := p.tables.behaviour[name]
	service := its.Service
	if service == "" {
		service = "ec2"
	}
	arn := fmt.Sprintf("arn:aws:%s:%s:%s:%s/%s", service, p.region, account, strings.TrimPrefix(name, "aws_"), number)
	set("arn", arn)
	switch {
	case its.ID == "arn":
		set("id", arn)
	case strings.HasPrefix(its.ID, "="):
		set("id", text(fields, its.ID[1:]))
	default:
		set("id", its.ID+number)
	}
	given, err := addresses(fields)
	if err != nil {
		return err
	}
	if name == "aws_instance" && given.InstanceID != "" && all.Resources[name][given.InstanceID] == nil {
		fields["id"] = given.InstanceID
	}
	id := text(fields, "id")
	set("region", p.region)
	switch name {
	case "aws_acm_certificate":
		domain := text(fields, "domain_name")
		set("domain_validation_options", []any{map[string]any{
			"domain_name": domain, "resource_record_name": "_proof." + domain + ".", "resource_record_type": "CNAME", "resource_record_value": "_proof.acm-validations.aws.",
		}})
		set("status", "ISSUED")
	case "aws_ebs_volume":
		set("encrypted", false)
	case "aws_eip":
		set("allocation_id", id)
		if given.PublicIP != "" {
			set("public_ip", given.PublicIP)
		}
		set("public_ip", fmt.Sprintf("198.51.100.%d", 1+len(all.Resources[name])))
	case "aws_instance":
		subnet := text(fields, "subnet_id")
		if given.PrivateIP != "" {
			set("private_ip", given.PrivateIP)
		}
		if blocks, _ := fields["primary_network_interface"].([]any); len(blocks) == 1 {
			of := text(blocks[0].(map[string]any), "network_interface_id")
			for other := range all.Resources[name] {
				if found := p.look(all, name, other); found != nil && found["primary_network_interface_id"] == of {
					return fmt.Errorf("the network interface %s is in use by %s", of, other)
				}
			}
			set("primary_network_interface_id", of)
			set("private_ip", get("aws_network_interface", of, "private_ip"))
			set("vpc_security_group_ids", all.Resources["aws_network_interface"][of]["security_groups"])
			subnet = get("aws_network_interface", of, "subnet_id")
		}
		if all.Resources["aws_subnet"][subnet] == nil {
			return fmt.Errorf("there is no subnet %q", subnet)
		}
		set("subnet_id", subnet)
		set("availability_zone", get("aws_subnet", subnet, "availability_zone"))
		address, err := p.address(all, subnet)
		if err != nil {
			return err
		}
		set("private_ip", address)
		set("primary_network_interface_id", "eni-"+number)
		set("tenancy", "default")
		set("instance_state", "running")
	case "aws_lb":
		set("dns_name", text(fields, "name")+".elb."+p.region+".amazonaws.com")
		set("zone_id", "Z0000000000000")
	case "aws_network_interface":
		if given.PrivateIP != "" {
			set("private_ip", given.PrivateIP)
		}
		if ips, _ := fields["private_ips"].([]any); len(ips) > 0 {
			set("private_ip", ips[0])
		}
	case "aws_route53_record":
		set("fqdn", strings.TrimSuffix(text(fields, "name"), "."))
	case "aws_route53_zone":
		set("zone_id", id)
	case "aws_volume_attachment":
		volume, instance := text(fields, "volume_id"), text(fields, "instance_id")
		if a, b := get("aws_ebs_volume", volume, "availability_zone"), get("aws_instance", instance, "availability_zone"); a != b {
			return fmt.Errorf("the volume %s is in %s, the instance %s in %s", volume, a, instance, b)
		}
		for other := range all.Resources[name] {
			if found := p.look(all, name, other); found != nil && found["volume_id"] == volume {
				return fmt.Errorf("the volume %s is attached to %s", volume, text(found, "instance_id"))
			}
		}
	}
	return nil
}

// Where a machine really is, for tests that have real ones behind this cloud.
type place struct {
	PrivateIP  string `json:"private_ip"`
	PublicIP   string `json:"public_ip"`
	InstanceID string `json:"instance_id"`
}

// What the file that STAND_IN_ADDRESSES names says of a resource, by its tag Name.
func addresses(fields map[string]any) (place, error) {
	path := os.Getenv("STAND_IN_ADDRESSES")
	tags, _ := fields["tags"].(map[string]any)
	if path == "" || tags == nil {
		return place{}, nil
	}
	written, err := os.ReadFile(path)
	if err != nil {
		return place{}, err
	}
	var all map[string]place
	if err := json.Unmarshal(written, &all); err != nil {
		return place{}, fmt.Errorf("%s: %w", path, err)
	}
	return all[text(tags, "Name")], nil
}

// An address of a subnet that nobody has.
func (p *provider) address(all *contents, subnet string) (string, error) {
	network, err := netip.ParsePrefix(text(all.Resources["aws_subnet"][subnet], "cidr_block"))
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for id := range all.Resources["aws_instance"] {
		if found := p.look(all, "aws_instance", id); found != nil {
			taken[text(found, "private_ip")] = true
		}
	}
	address := network.Addr()
	for range 100 {
		address = address.Next()
	}
	for ; network.Contains(address); address = address.Next() {
		if !taken[address.String()] {
			return address.String(), nil
		}
	}
	return "", fmt.Errorf("the subnet %s is full", subnet)
}

// Answers a data source.
func (p *provider) answer(all *contents, name string, fields map[string]any) {
	switch name {
	case "aws_ami":
		fields["id"], fields["image_id"] = all.Image, all.Image
	case "aws_availability_zones":
		zones := []any{}
		for _, zone := range all.Zones {
			zones = append(zones, p.region+zone)
		}
		fields["id"], fields["names"] = p.region, zones
	case "aws_route53_zone":
		fields["id"], fields["zone_id"] = "ZPUBLIC", "ZPUBLIC"
	}
}

func text(fields map[string]any, name string) string {
	found, _ := fields[name].(string)
	return found
}

// Whether an id is somewhere in a value.
func holds(value any, id string) bool {
	switch value := value.(type) {
	case string:
		return value == id
	case []any:
		for _, it := range value {
			if holds(it, id) {
				return true
			}
		}
	case map[string]any:
		for _, it := range value {
			if holds(it, id) {
				return true
			}
		}
	default:
		return reflect.DeepEqual(value, id)
	}
	return false
}
