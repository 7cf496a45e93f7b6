// Says where behaviour.json and the source of hashicorp/aws differ in what forces a new resource. The source is in no package registry:
//
//   git clone --depth 1 --branch v6.25.0 https://github.com/hashicorp/terraform-provider-aws
//   node replaces.mjs terraform-provider-aws
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SERVICES = ["acm", "ec2", "elbv2", "iam", "route53"];

const here = dirname(fileURLToPath(import.meta.url));
const behaviour = JSON.parse(readFileSync(join(here, "behaviour.json")));
const schema = JSON.parse(readFileSync(join(here, "schema.json"))).resources;
const source = process.argv[2];

/// Constants that stand for names, of a text.
function constants(text) {
  return Object.fromEntries([...text.matchAll(/^\s*(?:const )?(\w+)\s*=\s*"(\w+)"$/gm)].map((it) => [it[1], it[2]]));
}

/// Paths of arguments that a text says to force a new resource, always or in some cases: gofmt indents each level by a tab.
function forced(text, named) {
  const sometimes = new Set([...text.matchAll(/ForceNewIf(?:Change)?\("(\w+)"/g)].map((it) => it[1]));
  const always = new Set();
  const keys = [];
  for (const line of text.split("\n")) {
    const depth = line.match(/^\t*/)[0].length;
    while (keys.length > 0 && keys.at(-1).depth >= depth && line.trim() !== "") keys.pop();
    const key = line.match(/^\t+(?:"(\w+)"|(?:names\.)?(\w+)):\s+(?:&?[\w.]+)?\{$/);
    const name = key && (key[1] ?? named[key[2]]);
    if (name) keys.push({ depth, name });
    if (/^\t+ForceNew:\s+true,/.test(line) || /RequiresReplace\(\)/.test(line)) always.add(keys.map((it) => it.name).join("."));
  }
  return { always, sometimes };
}

const names = readdirSync(join(source, "names")).filter((it) => it.endsWith(".go"));
const shared = Object.assign({}, ...names.map((it) => constants(readFileSync(join(source, "names", it), "utf8"))));
const resources = {};
for (const service of SERVICES) {
  const folder = join(source, "internal/service", service);
  for (const file of readdirSync(folder).filter((it) => it.endsWith(".go") && !it.endsWith("_test.go"))) {
    const text = readFileSync(join(folder, file), "utf8");
    const named = { ...shared, ...constants(text) };
    // A resource's own function ends with its first brace at the margin; one of the plugin framework has its schema elsewhere in the file.
    for (const [, kind, name] of text.matchAll(/@(SDK|Framework)Resource\("(aws_\w+)"/g)) {
      const from = text.indexOf(`@${kind}Resource("${name}"`);
      const own = kind === "SDK" ? text.slice(from, text.indexOf("\n}\n", from)) : text;
      resources[name] = forced(own, named);
    }
  }
}

let differences = 0;
for (const [name, { replaces }] of Object.entries(behaviour)) {
  const theirs = resources[name];
  if (!theirs) {
    console.log(`${name}: not found in the source`);
    differences += 1;
    continue;
  }
  const ours = new Set(replaces);
  // Blocks that the modules do not use are left out.
  const blocks = new Set(replaces.filter((it) => it.includes(".")).map((it) => it.split(".")[0]));
  const isOurs = (it) => (it.includes(".") ? blocks.has(it.split(".")[0]) : it in schema[name].attributes);
  for (const it of theirs.always) if (isOurs(it) && !ours.has(it)) (console.log(`${name}.${it}: forces a new one, and is not here`), (differences += 1));
  for (const it of ours) if (!theirs.always.has(it) && !theirs.sometimes.has(it)) (console.log(`${name}.${it}: is here, and forces none`), (differences += 1));
}
console.log(`${differences} differences`);
process.exit(differences > 0 ? 1 : 0);
