output "nodes" {
  value = concat(module.traefik.nodes, module.prometheus.nodes)
}

output "volumes" {
  value = module.prometheus.volumes
}

output "entry" {
  value = module.traefik.entry
}
