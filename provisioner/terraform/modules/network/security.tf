# Who may speak with whom. Rules name groups, not ranges of addresses; what is not here is closed.

locals {
  roles = concat(
    ["cassandra", "scalardl"],
    var.bastion.count > 0 ? ["bastion"] : [],
    var.has_traefik ? ["traefik"] : [],
    var.has_monitor ? ["monitor"] : [],
  )

  # To whom, from whom, ports. A rule goes when one of the two does.
  rules = [
    # Every machine: people by way of the bastion, and the monitor's probe.
    { to = "node", from = "bastion", ports = [22, 22] },
    { to = "node", from = "monitor", ports = [22, 22] },
    # node-exporter, cassandra-exporter and traefik-exporter.
    { to = "node", from = "monitor", ports = [var.ports["node-exporter"], var.ports["node-exporter"]] },
    { to = "cassandra", from = "monitor", ports = [var.ports["cassandra-exporter"], var.ports["cassandra-exporter"]] },
    { to = "traefik", from = "monitor", ports = [var.ports["traefik-exporter"], var.ports["traefik-exporter"]] },
    # Between Cassandra's nodes, and the clients' protocol.
    { to = "cassandra", from = "cassandra", ports = [7000, 7001] },
    { to = "cassandra", from = "scalardl", ports = [9042, 9042] },
    { to = "cassandra", from = "bastion", ports = [9042, 9042] },
    # The ledger; its admin service pauses it; its metrics.
    { to = "scalardl", from = "traefik", ports = [50051, 50052] },
    { to = "scalardl", from = "bastion", ports = [50053, 50053] },
    { to = "scalardl", from = "monitor", ports = [8080, 8080] },
    # Prometheus and alert-router, by a tunnel; the two monitors' alert-routers; Grafana's rule is in its module.
    { to = "monitor", from = "bastion", ports = [var.ports["prometheus"], var.ports["prometheus"]] },
    { to = "monitor", from = "bastion", ports = [var.ports["alert-router"], var.ports["alert-router"]] },
    { to = "monitor", from = "monitor", ports = [var.ports["prometheus"], var.ports["prometheus"]] },
    { to = "monitor", from = "monitor", ports = [var.ports["alert-router"], var.ports["alert-router"]] },
  ]

  groups = merge({ node = aws_security_group.node.id }, { for role, group in aws_security_group.role : role => group.id })
  live = {
    for rule in local.rules : "${rule.to}-${rule.from}-${rule.ports[0]}" => rule
    if contains(concat(local.roles, ["node"]), rule.to) && contains(local.roles, rule.from)
  }
}

resource "aws_security_group" "node" {
  name        = "${var.cluster}-node"
  description = "Every machine of ${var.cluster}"
  vpc_id      = aws_vpc.vpc.id
  tags        = { Name = "${var.cluster}-node", Role = "network" }
}

resource "aws_security_group" "role" {
  for_each    = toset(local.roles)
  name        = "${var.cluster}-${each.key}"
  description = "Machines of ${var.cluster} that are ${each.key}"
  vpc_id      = aws_vpc.vpc.id
  tags        = { Name = "${var.cluster}-${each.key}", Role = each.key }
}

resource "aws_vpc_security_group_ingress_rule" "role" {
  for_each                     = local.live
  security_group_id            = local.groups[each.value.to]
  referenced_security_group_id = local.groups[each.value.from]
  ip_protocol                  = "tcp"
  from_port                    = each.value.ports[0]
  to_port                      = each.value.ports[1]
  tags                         = { Name = each.key, Role = each.value.to }
}

# People.
resource "aws_vpc_security_group_ingress_rule" "bastion" {
  for_each          = var.bastion.count > 0 ? toset(var.allowed_cidrs) : []
  security_group_id = aws_security_group.role["bastion"].id
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  tags              = { Name = "people", Role = "bastion" }
}

# Packages, images, Slack, mail.
resource "aws_vpc_security_group_egress_rule" "node" {
  security_group_id = aws_security_group.node.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
  tags              = { Name = "out", Role = "network" }
}
