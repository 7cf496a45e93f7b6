# Cassandra: the stateful part. A node's address and its volumes outlive its machine.

locals {
  # Racks are zones: one after the other.
  subnets = [for i in range(var.machines.count) : var.subnets[i % length(var.subnets)]]
  data    = var.machines.data > 0 ? var.machines.count : 0
  log     = var.machines.commitlog > 0 ? var.machines.count : 0
}

resource "aws_network_interface" "cassandra" {
  count           = var.machines.count
  subnet_id       = local.subnets[count.index].id
  private_ips     = [cidrhost(local.subnets[count.index].cidr, 10 + floor(count.index / length(var.subnets)))]
  security_groups = var.security_groups
  tags            = { Name = "${var.cluster}-cassandra-${count.index + 1}", Role = "cassandra" }
}

resource "aws_instance" "cassandra" {
  count         = var.machines.count
  ami           = var.image
  instance_type = var.machines.type
  key_name      = var.key_name
  tags          = { Name = "${var.cluster}-cassandra-${count.index + 1}", Role = "cassandra" }

  primary_network_interface {
    network_interface_id = aws_network_interface.cassandra[count.index].id
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    tags        = { Name = "${var.cluster}-cassandra-${count.index + 1}", Role = "cassandra" }
    encrypted   = true
    volume_type = "gp3"
    volume_size = var.machines.root
  }

  lifecycle {
    ignore_changes = [ami] # A newer image is for the next machine.
  }
}

# Starts a machine that was stopped.
resource "aws_ec2_instance_state" "cassandra" {
  count       = var.machines.count
  instance_id = aws_instance.cassandra[count.index].id
  state       = "running"
}

# Their zone is the subnet's: one that came from the instance would be replaced with it, and the data be gone.
resource "aws_ebs_volume" "data" {
  count             = local.data
  availability_zone = local.subnets[count.index].zone
  encrypted         = true
  type              = "gp3"
  size              = var.machines.data
  iops              = var.machines.iops
  throughput        = var.machines.mbps
  tags              = { Name = "${var.cluster}-cassandra-${count.index + 1}-data", Role = "cassandra" }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_volume_attachment" "data" {
  count       = local.data
  device_name = "/dev/sdf"
  instance_id = aws_instance.cassandra[count.index].id
  volume_id   = aws_ebs_volume.data[count.index].id
  # What is written to is not to be torn off.
  stop_instance_before_detaching = true
}

resource "aws_ebs_volume" "commitlog" {
  count             = local.log
  availability_zone = local.subnets[count.index].zone
  encrypted         = true
  type              = "gp3"
  size              = var.machines.commitlog
  tags              = { Name = "${var.cluster}-cassandra-${count.index + 1}-commitlog", Role = "cassandra" }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_volume_attachment" "commitlog" {
  count                          = local.log
  device_name                    = "/dev/sdg"
  instance_id                    = aws_instance.cassandra[count.index].id
  volume_id                      = aws_ebs_volume.commitlog[count.index].id
  stop_instance_before_detaching = true
}

resource "aws_route53_record" "cassandra" {
  count   = var.machines.count
  zone_id = var.dns_zone
  name    = "cassandra-${count.index + 1}"
  type    = "A"
  ttl     = 60
  records = [aws_network_interface.cassandra[count.index].private_ip]
}
