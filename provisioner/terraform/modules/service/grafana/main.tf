# Grafana runs on the monitor: here is what it has besides, a name and the way to it.

resource "aws_route53_record" "grafana" {
  zone_id = var.dns_zone
  name    = "grafana"
  type    = "A"
  ttl     = 60
  records = var.addresses
}

resource "aws_vpc_security_group_ingress_rule" "grafana" {
  count                        = var.has_bastion ? 1 : 0
  security_group_id            = var.monitor
  referenced_security_group_id = var.bastion
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  tags                         = { Name = "grafana", Role = "monitor" }
}
