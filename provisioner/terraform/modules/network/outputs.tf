output "vpc_id" {
  value = aws_vpc.vpc.id
}

output "image" {
  value = data.aws_ami.debian.id
}

output "public_subnets" {
  value = [for it in aws_subnet.public : { id = it.id, zone = it.availability_zone, cidr = it.cidr_block }]
}

output "private_subnets" {
  value = [for it in aws_subnet.private : { id = it.id, zone = it.availability_zone, cidr = it.cidr_block }]
}

output "cassandra_subnets" {
  value = [for it in aws_subnet.cassandra : { id = it.id, zone = it.availability_zone, cidr = it.cidr_block }]
}

output "security_groups" {
  description = "Of each role that there is, the groups of its machines: everybody's first, its own then."
  value       = { for role in local.roles : role => [aws_security_group.node.id, aws_security_group.role[role].id] }
}

output "dns_zone" {
  value = aws_route53_zone.private.zone_id
}

output "nodes" {
  value = [for i, it in aws_instance.bastion : {
    name            = "bastion-${i + 1}"
    role            = "bastion"
    address         = aws_eip.bastion[i].public_ip
    private_address = it.private_ip
    zone            = it.availability_zone
    instance_id     = it.id
    bastion         = "none"
  }]
}
