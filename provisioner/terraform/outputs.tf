locals {
  nodes = concat(module.network.nodes, module.cassandra.nodes, module.scalar.nodes, module.service.nodes)
}

output "inventory" {
  description = "The machines, in the form of the provisioner's hosts file."
  value = {
    defaults = merge({ user = "admin" }, local.bastion.count > 0 ? { bastion = module.network.nodes[0].name } : {})
    hosts    = local.nodes
  }
}

output "volumes" {
  description = "Data volumes: whose they are, for what, and their ids, which disks have as their serials."
  value       = concat(module.cassandra.volumes, module.service.volumes)
}

output "entry" {
  description = "Where clients reach the network; null without Traefik."
  value       = module.service.entry
}
