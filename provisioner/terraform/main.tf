module "network" {
  source = "./modules/network"

  cluster       = local.cluster
  key_name      = var.aws_key_name
  allowed_cidrs = distinct(var.allowed_cidrs)
  bastion       = local.bastion
  nat           = local.level.nat
  ports         = local.ports
  # Who is scraped, and by whom, is known before the machines are.
  has_monitor = local.monitor.count > 0
  has_traefik = local.traefik.count > 0
}

module "cassandra" {
  source = "./modules/cassandra"

  cluster         = local.cluster
  key_name        = var.aws_key_name
  image           = module.network.image
  machines        = local.cassandra
  subnets         = module.network.cassandra_subnets
  security_groups = module.network.security_groups.cassandra
  dns_zone        = module.network.dns_zone
}

module "scalar" {
  source = "./modules/scalar"

  cluster         = local.cluster
  key_name        = var.aws_key_name
  image           = module.network.image
  machines        = local.scalardl
  subnets         = module.network.private_subnets
  security_groups = module.network.security_groups.scalardl
  dns_zone        = module.network.dns_zone
}

module "service" {
  source = "./modules/service"

  cluster         = local.cluster
  key_name        = var.aws_key_name
  image           = module.network.image
  network         = module.network
  traefik         = local.traefik
  monitor         = local.monitor
  has_grafana     = local.monitor.count > 0 && !contains(var.leave_out, "grafana")
  site_url        = var.site_url
  has_balancer    = local.traefik.count > 0 && (var.site_url != "" || local.level.balancer)
  has_tls         = var.traefik_certificate_file != ""
  grafana_port    = local.ports["grafana"]
  allowed_cidrs   = distinct(var.allowed_cidrs)
  security_groups = module.network.security_groups
}
