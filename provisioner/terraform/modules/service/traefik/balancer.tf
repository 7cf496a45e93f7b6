# A network load balancer over the entry points, in the public's subnets with site_url, else inside.

locals {
  balancer = var.has_balancer ? 1 : 0
  # Also TLS with site_url, whose other end is the client port.
  listeners = var.has_balancer ? merge(local.ports, local.is_public ? { tls = 443 } : {}) : {}
}

resource "aws_security_group" "balancer" {
  count       = local.balancer
  name        = "${var.cluster}-balancer"
  description = "The load balancer of ${var.cluster}"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.cluster}-balancer", Role = "traefik" }
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each = {
    for it in setproduct(values(local.listeners), var.allowed_cidrs) : "${it[0]}-${it[1]}" => { port = it[0], cidr = it[1] }
  }
  security_group_id = aws_security_group.balancer[0].id
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = { Name = "clients", Role = "traefik" }
}

resource "aws_vpc_security_group_egress_rule" "balancer" {
  count                        = local.balancer
  security_group_id            = aws_security_group.balancer[0].id
  referenced_security_group_id = var.security_groups[1]
  ip_protocol                  = "tcp"
  from_port                    = local.ports.client
  to_port                      = local.ports.privileged
  tags                         = { Name = "traefik", Role = "traefik" }
}

resource "aws_vpc_security_group_ingress_rule" "traefik" {
  count                        = local.balancer
  security_group_id            = var.security_groups[1]
  referenced_security_group_id = aws_security_group.balancer[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.ports.client
  to_port                      = local.ports.privileged
  tags                         = { Name = "balancer", Role = "traefik" }
}

resource "aws_lb" "balancer" {
  count                            = local.balancer
  name                             = trimsuffix(substr("${var.cluster}-entry", 0, 32), "-")
  internal                         = !local.is_public
  load_balancer_type               = "network"
  subnets                          = [for it in local.is_public ? var.public_subnets : var.private_subnets : it.id]
  security_groups                  = [aws_security_group.balancer[0].id]
  enable_cross_zone_load_balancing = true
  tags                             = { Name = "${var.cluster}-entry", Role = "traefik" }
}

resource "aws_lb_target_group" "traefik" {
  for_each             = var.has_balancer ? local.ports : {}
  name                 = trimsuffix(substr("${each.value}-${var.cluster}", 0, 32), "-")
  port                 = each.value
  protocol             = "TCP"
  vpc_id               = var.vpc_id
  deregistration_delay = "30"
  tags                 = { Name = "${var.cluster}-${each.key}", Role = "traefik" }

  health_check {
    protocol = "TCP"
    interval = 10
  }
}

resource "aws_lb_target_group_attachment" "traefik" {
  for_each = var.has_balancer ? {
    for it in setproduct(keys(local.ports), range(var.machines.count)) : "${it[0]}-${it[1]}" => { name = it[0], index = tonumber(it[1]) }
  } : {}
  target_group_arn = aws_lb_target_group.traefik[each.value.name].arn
  target_id        = aws_instance.instance[each.value.index].id
}

resource "aws_lb_listener" "traefik" {
  for_each          = local.listeners
  load_balancer_arn = aws_lb.balancer[0].arn
  port              = each.value
  protocol          = each.key == "tls" ? "TLS" : "TCP"
  ssl_policy        = each.key == "tls" ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null
  certificate_arn   = each.key == "tls" ? aws_acm_certificate_validation.site[0].certificate_arn : null
  alpn_policy       = each.key == "tls" ? "HTTP2Preferred" : null
  tags              = { Name = "${var.cluster}-${each.key}", Role = "traefik" }

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.traefik[each.key == "tls" ? "client" : each.key].arn
  }
}
