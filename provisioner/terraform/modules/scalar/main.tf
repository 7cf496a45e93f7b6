# Scalar DL's ledgers: machines without state, each with an index, so that one can be replaced and the others stay.

resource "aws_instance" "scalar" {
  count                  = var.machines.count
  ami                    = var.image
  instance_type          = var.machines.type
  key_name               = var.key_name
  subnet_id              = var.subnets[count.index % length(var.subnets)].id
  vpc_security_group_ids = var.security_groups
  tags                   = { Name = "${var.cluster}-scalardl-${count.index + 1}", Role = "scalardl" }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    tags        = { Name = "${var.cluster}-scalardl-${count.index + 1}", Role = "scalardl" }
    encrypted   = true
    volume_type = "gp3"
    volume_size = var.machines.root
  }

  lifecycle {
    ignore_changes = [ami] # A newer image is for the next machine.
  }
}

# Starts a machine that was stopped.
resource "aws_ec2_instance_state" "scalar" {
  count       = var.machines.count
  instance_id = aws_instance.scalar[count.index].id
  state       = "running"
}

resource "aws_route53_record" "scalar" {
  count   = var.machines.count
  zone_id = var.dns_zone
  name    = "scalardl-${count.index + 1}"
  type    = "A"
  ttl     = 60
  records = [aws_instance.scalar[count.index].private_ip]
}
