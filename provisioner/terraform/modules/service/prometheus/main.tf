# The monitor: a machine with Prometheus, alert-router and Grafana, and a volume that outlives it.

locals {
  subnets = [for i in range(var.machines.count) : var.subnets[i % length(var.subnets)]]
}

resource "aws_instance" "instance" {
  count                  = var.machines.count
  ami                    = var.image
  instance_type          = var.machines.type
  key_name               = var.key_name
  subnet_id              = local.subnets[count.index].id
  vpc_security_group_ids = var.security_groups
  iam_instance_profile   = aws_iam_instance_profile.monitor[0].name
  tags                   = { Name = "${var.cluster}-monitor-${count.index + 1}", Role = "monitor" }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    tags        = { Name = "${var.cluster}-monitor-${count.index + 1}", Role = "monitor" }
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

# Samples, silences and history. The zone is the subnet's, so that the volume stays when the machine is replaced.
resource "aws_ebs_volume" "data" {
  count             = var.machines.count
  availability_zone = local.subnets[count.index].zone
  encrypted         = true
  type              = "gp3"
  size              = var.machines.data
  tags              = { Name = "${var.cluster}-monitor-${count.index + 1}-data", Role = "monitor" }
}

resource "aws_volume_attachment" "data" {
  count                          = var.machines.count
  device_name                    = "/dev/sdf"
  instance_id                    = aws_instance.instance[count.index].id
  volume_id                      = aws_ebs_volume.data[count.index].id
  stop_instance_before_detaching = true
}

resource "aws_route53_record" "instance" {
  count   = var.machines.count
  zone_id = var.dns_zone
  name    = "monitor-${count.index + 1}"
  type    = "A"
  ttl     = 60
  records = [aws_instance.instance[count.index].private_ip]
}
