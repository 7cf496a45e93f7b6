# What stands around the cluster.

module "traefik" {
  source = "./traefik"

  cluster         = var.cluster
  key_name        = var.key_name
  image           = var.image
  machines        = var.traefik
  vpc_id          = var.network.vpc_id
  public_subnets  = var.network.public_subnets
  private_subnets = var.network.private_subnets
  security_groups = lookup(var.security_groups, "traefik", [])
  dns_zone        = var.network.dns_zone
  site_url        = var.site_url
  has_balancer    = var.has_balancer
  has_tls         = var.has_tls
  allowed_cidrs   = var.allowed_cidrs
}

module "prometheus" {
  source = "./prometheus"

  cluster         = var.cluster
  key_name        = var.key_name
  image           = var.image
  machines        = var.monitor
  subnets         = var.network.private_subnets
  security_groups = lookup(var.security_groups, "monitor", [])
  dns_zone        = var.network.dns_zone
}

module "grafana" {
  source = "./grafana"
  count  = var.has_grafana ? 1 : 0

  port        = var.grafana_port
  dns_zone    = var.network.dns_zone
  addresses   = [for it in module.prometheus.nodes : it.private_address]
  monitor     = var.security_groups["monitor"][1]
  bastion     = try(var.security_groups["bastion"][1], null)
  has_bastion = contains(keys(var.security_groups), "bastion")
}
