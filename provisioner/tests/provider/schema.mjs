// Writes schema.json: the schemas of the resources and data sources that our modules use, as hashicorp/aws has them. They are read from
// @cdktf/provider-aws, bindings which HashiCorp generated from the provider's own schema; nothing but names and types is taken.
//
//   npm pack @cdktf/provider-aws@21.22.1 && tar -xzf cdktf-provider-aws-21.22.1.tgz
//   node schema.mjs package > schema.json
import { readFileSync } from "node:fs";
import { join } from "node:path";

const RESOURCES = [
  "aws_acm_certificate",
  "aws_acm_certificate_validation",
  "aws_ebs_volume",
  "aws_ec2_instance_state",
  "aws_eip",
  "aws_eip_association",
  "aws_iam_instance_profile",
  "aws_iam_role",
  "aws_iam_role_policy",
  "aws_instance",
  "aws_internet_gateway",
  "aws_lb",
  "aws_lb_listener",
  "aws_lb_target_group",
  "aws_lb_target_group_attachment",
  "aws_nat_gateway",
  "aws_network_interface",
  "aws_route",
  "aws_route53_record",
  "aws_route53_zone",
  "aws_route_table",
  "aws_route_table_association",
  "aws_security_group",
  "aws_subnet",
  "aws_volume_attachment",
  "aws_vpc",
  "aws_vpc_security_group_egress_rule",
  "aws_vpc_security_group_ingress_rule",
];
const DATA_SOURCES = ["aws_ami", "aws_availability_zones", "aws_route53_zone"];

const bindings = process.argv[2];
const about = JSON.parse(readFileSync(join(bindings, "package.json")));

/// A file's classes and functions, by name: the text of each.
function parts(path) {
  const text = readFileSync(path, "utf8");
  const found = {};
  for (const part of text.split(/^(?=(?:export )?(?:class|function) )/m)) {
    const name = part.match(/^(?:class|function) (\w+)/);
    if (name) found[name[1]] = part;
  }
  return found;
}

/// What a table of arguments says of each: whether it is a block, how it is nested, of what it is.
function args(text) {
  const found = {};
  const each = /^ +(\w+): \{\n +value: .*\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)",/gm;
  for (const [, name, block, nesting, of] of text.matchAll(each)) found[name] = { block: block === "true", nesting, of };
  return found;
}

const SCALARS = { string: "string", number: "number", boolean: "bool", any: "string" };

function typeOfArg({ nesting, of }) {
  if (nesting === "simple") return SCALARS[of];
  const inner = SCALARS[of.replace(/(List|Map)$/, "")];
  if (!inner || !["list", "set", "map"].includes(nesting)) throw new Error(`what is ${nesting} of ${of}?`);
  return [nesting, inner];
}

/// The type of what the provider alone fills in, by how it is read.
function typeOfRead(body) {
  const is = (text) => body.includes(text);
  const list = is("Fn.tolist") ? "set" : "list";
  if (is("getStringAttribute")) return "string";
  if (is("getNumberAttribute")) return "number";
  if (is("getBooleanAttribute")) return "bool";
  if (is("getListAttribute")) return [list, "string"];
  if (is("getNumberListAttribute")) return [list, "number"];
  return undefined;
}

/// Which arguments must be given, by the declaration of an interface.
function requiredOf(declarations, name) {
  const text = declarations.match(new RegExp(`^export interface ${name} .*\\{\\n([\\s\\S]*?)^\\}`, "m"));
  return new Set([...(text?.[1] ?? "").matchAll(/^    readonly (\w+):/gm)].map((it) => it[1]));
}

const camel = (name) => name.replace(/_(\w)/g, (_, it) => it.toUpperCase());

/// A schema's object: attributes, and blocks within. What can be set is in a table of arguments; what only the provider fills in has a
/// comment, and so has what is nested. That something can be set and is filled in otherwise is nowhere: see behaviour.json.
function block({ all, declarations }, name) {
  const text = all[name] ?? "";
  const isTop = /extends cdktf.Terraform(Resource|DataSource|Provider)/.test(text.slice(0, 200));
  const base = name.replace(/OutputReference$/, "");
  const lower = base[0].toLowerCase() + base.slice(1);
  const settable = args(isTop ? text.slice(text.indexOf("synthesizeHclAttributes")) : (all[`${lower}ToHclTerraform`] ?? ""));
  const required = requiredOf(declarations, isTop ? `${name}Config` : base);
  const found = { attributes: {}, blocks: {} };
  const add = (attribute, type, flags) => {
    found.attributes[attribute] = { type, ...flags };
  };
  for (const [attribute, arg] of Object.entries(settable)) {
    const flags = required.has(camel(attribute)) ? { required: true } : { optional: true };
    if (!arg.block) {
      add(attribute, typeOfArg(arg), flags);
      continue;
    }
    const comment = text.match(new RegExp(`// ${attribute} - computed: true,`));
    const inner = block({ all, declarations }, arg.of.replace(/List$/, "") + "OutputReference");
    const one = arg.nesting !== "struct" && (!text || text.includes(`OutputReference(this, "${attribute}")`));
    if (comment) {
      // An argument that takes objects by assignment.
      add(attribute, [arg.nesting, ["object", types(inner)]], { ...flags, computed: true });
    } else {
      found.blocks[attribute] = { nesting: arg.nesting === "struct" ? "single" : arg.nesting, ...(flags.required && flags), ...(one && { one }), ...inner };
    }
  }
  for (const it of text.matchAll(/\/\/ (\w+) - computed: true, optional: false, required: false/g)) {
    const attribute = it[1];
    if (settable[attribute]) continue;
    const made = text.match(new RegExp(`new (\\w+|cdktf\\.\\w+)\\(this, "${attribute}"(?:, (true|false))?\\)`));
    if (made && !made[1].startsWith("cdktf.")) {
      const inner = block({ all, declarations }, made[1].replace(/List$/, "OutputReference"));
      add(attribute, [made[2] === "true" ? "set" : "list", ["object", types(inner)]], { computed: true });
      continue;
    }
    const map = made && { StringMap: "string", NumberMap: "number", BooleanMap: "bool" }[made[1].slice(6)];
    const type = map ? ["map", map] : typeOfRead(text.slice(it.index, text.indexOf("\n    }", it.index)));
    if (!type) throw new Error(`${name}: of what type is ${attribute}?`);
    add(attribute, type, { computed: true });
  }
  found.attributes = Object.fromEntries(Object.entries(found.attributes).sort());
  if (Object.keys(found.blocks).length === 0) delete found.blocks;
  return found;
}

function types({ attributes, blocks = {} }) {
  const found = {};
  for (const [name, { type }] of Object.entries(attributes)) found[name] = type;
  for (const [name, inner] of Object.entries(blocks)) found[name] = [inner.nesting, ["object", types(inner)]];
  return found;
}

function read(folder) {
  const path = (file) => join(bindings, "lib", folder, file);
  const all = parts(path("index.js"));
  const top = Object.entries(all).find(([, text]) => /^class \w+ extends cdktf.Terraform/.test(text));
  return block({ all, declarations: readFileSync(path("index.d.ts"), "utf8") }, top[0]);
}

const folder = (type) => type.replace(/^aws_/, "").replaceAll("_", "-");

const schema = {
  notice: `Names and types of arguments of ${about.cdktf.provider.name} ${about.cdktf.provider.version}, read from ${about.name} ${about.version} by schema.mjs. Copyright (c) HashiCorp, Inc. SPDX-License-Identifier: ${about.license}`,
  provider: read("provider"),
  resources: Object.fromEntries(RESOURCES.map((it) => [it, read(folder(it))])),
  data_sources: Object.fromEntries(DATA_SOURCES.map((it) => [it, read(`data-aws-${folder(it)}`)])),
};
// A line for each attribute, so that a newer version's differences can be read.
console.log(JSON.stringify(schema, null, 1).replace(/\{\s+("type": (?:"\w+"|\[[^{}]*?\]),?[^{}]*?)\s+\}/g, (_, it) => `{ ${it.replace(/\s+/g, " ")} }`));
