# The way in. Its address stays when the machine is replaced.

resource "aws_instance" "bastion" {
  count                  = var.bastion.count
  ami                    = data.aws_ami.debian.id
  instance_type          = var.bastion.type
  key_name               = var.key_name
  subnet_id              = aws_subnet.public[count.index % length(aws_subnet.public)].id
  vpc_security_group_ids = [aws_security_group.node.id, aws_security_group.role["bastion"].id]
  tags                   = { Name = "${var.cluster}-bastion-${count.index + 1}", Role = "bastion" }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    tags        = { Name = "${var.cluster}-bastion-${count.index + 1}", Role = "bastion" }
    encrypted   = true
    volume_type = "gp3"
    volume_size = var.bastion.root
  }

  lifecycle {
    ignore_changes = [ami] # A newer image is for the next machine.
  }
}

# Starts a machine that was stopped.
resource "aws_ec2_instance_state" "bastion" {
  count       = var.bastion.count
  instance_id = aws_instance.bastion[count.index].id
  state       = "running"
}

resource "aws_eip" "bastion" {
  count  = var.bastion.count
  domain = "vpc"
  tags   = { Name = "${var.cluster}-bastion-${count.index + 1}", Role = "bastion" }

  depends_on = [aws_internet_gateway.gateway]
}

resource "aws_eip_association" "bastion" {
  count         = var.bastion.count
  allocation_id = aws_eip.bastion[count.index].id
  instance_id   = aws_instance.bastion[count.index].id
}

resource "aws_route53_record" "bastion" {
  count   = var.bastion.count
  zone_id = aws_route53_zone.private.zone_id
  name    = "bastion-${count.index + 1}"
  type    = "A"
  ttl     = 60
  records = [aws_instance.bastion[count.index].private_ip]
}
