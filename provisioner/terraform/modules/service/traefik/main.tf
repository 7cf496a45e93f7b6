# The entry point. Machines stand in private subnets; with site_url the public reaches them by way of a load balancer, a DNS record and a
# certificate, else clients within the VPC, and networks that are joined to it, do.

locals {
  is_public = var.site_url != "" && var.machines.count > 0
  # gRPC, for all and for the privileged.
  ports = { client = 50051, privileged = 50052 }
  # Traefik's own TLS, whose other end is the ledgers' client port.
  served = merge(local.ports, var.has_tls ? { tls = 443 } : {})
}

resource "aws_instance" "instance" {
  count                  = var.machines.count
  ami                    = var.image
  instance_type          = var.machines.type
  key_name               = var.key_name
  subnet_id              = var.private_subnets[count.index % length(var.private_subnets)].id
  vpc_security_group_ids = var.security_groups
  tags                   = { Name = "${var.cluster}-traefik-${count.index + 1}", Role = "traefik" }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    tags        = { Name = "${var.cluster}-traefik-${count.index + 1}", Role = "traefik" }
    encrypted   = true
    volume_type = "gp3"
    volume_size = var.machines.root
  }

  lifecycle {
    ignore_changes = [ami] # A newer image is for the next machine.
  }
}

# Starts a machine that was stopped.
resource "aws_ec2_instance_state" "instance" {
  count       = var.machines.count
  instance_id = aws_instance.instance[count.index].id
  state       = "running"
}

resource "aws_route53_record" "instance" {
  count   = var.machines.count
  zone_id = var.dns_zone
  name    = "traefik-${count.index + 1}"
  type    = "A"
  ttl     = 60
  records = [aws_instance.instance[count.index].private_ip]
}

# Clients, where none stands between: those of the allowed networks.
resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.machines.count > 0 && !var.has_balancer ? {
    for it in setproduct(values(local.served), var.allowed_cidrs) : "${it[0]}-${it[1]}" => { port = it[0], cidr = it[1] }
  } : {}
  security_group_id = var.security_groups[1]
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  tags              = { Name = "clients", Role = "traefik" }
}
