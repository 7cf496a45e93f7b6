# The network: a VPC over three zones, ways out, the bastion, private DNS, and who may speak with whom.

data "aws_availability_zones" "available" {
  state = "available"

  # Local and Wavelength Zones are none for a cluster.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"] # Debian

  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, min(3, length(data.aws_availability_zones.available.names)))
}

resource "aws_vpc" "vpc" {
  cidr_block           = "10.42.0.0/16"
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = var.cluster, Role = "network" }
}

resource "aws_internet_gateway" "gateway" {
  vpc_id = aws_vpc.vpc.id
  tags   = { Name = var.cluster, Role = "network" }
}

# A zone that AWS adds must not move those that there are, as volumes cannot follow: hence ignore_changes.
resource "aws_subnet" "public" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.vpc.id
  cidr_block        = cidrsubnet(aws_vpc.vpc.cidr_block, 8, count.index)
  availability_zone = local.zones[count.index]
  tags              = { Name = "${var.cluster}-public-${count.index + 1}", Role = "network" }

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_subnet" "private" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.vpc.id
  cidr_block        = cidrsubnet(aws_vpc.vpc.cidr_block, 8, 16 + count.index)
  availability_zone = local.zones[count.index]
  tags              = { Name = "${var.cluster}-private-${count.index + 1}", Role = "network" }

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

# Of Cassandra alone: so nothing else is ever given one of its fixed addresses.
resource "aws_subnet" "cassandra" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.vpc.id
  cidr_block        = cidrsubnet(aws_vpc.vpc.cidr_block, 8, 32 + count.index)
  availability_zone = local.zones[count.index]
  tags              = { Name = "${var.cluster}-cassandra-${count.index + 1}", Role = "network" }

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.vpc.id
  tags   = { Name = "${var.cluster}-public", Role = "network" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.gateway.id
}

resource "aws_route_table_association" "public" {
  count          = length(aws_subnet.public)
  route_table_id = aws_route_table.public.id
  subnet_id      = aws_subnet.public[count.index].id
}

resource "aws_eip" "nat" {
  count  = min(var.nat, length(local.zones))
  domain = "vpc"
  tags   = { Name = "${var.cluster}-nat-${count.index + 1}", Role = "network" }

  depends_on = [aws_internet_gateway.gateway]
}

resource "aws_nat_gateway" "nat" {
  count         = length(aws_eip.nat)
  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id
  tags          = { Name = "${var.cluster}-${count.index + 1}", Role = "network" }
}

resource "aws_route_table" "private" {
  count  = length(local.zones)
  vpc_id = aws_vpc.vpc.id
  tags   = { Name = "${var.cluster}-private-${count.index + 1}", Role = "network" }
}

resource "aws_route" "private" {
  count                  = length(aws_route_table.private)
  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.nat[count.index % length(aws_nat_gateway.nat)].id
}

resource "aws_route_table_association" "private" {
  count          = length(aws_subnet.private)
  route_table_id = aws_route_table.private[count.index].id
  subnet_id      = aws_subnet.private[count.index].id
}

resource "aws_route_table_association" "cassandra" {
  count          = length(aws_subnet.cassandra)
  route_table_id = aws_route_table.private[count.index].id
  subnet_id      = aws_subnet.cassandra[count.index].id
}

resource "aws_route53_zone" "private" {
  name          = "${var.cluster}.internal"
  force_destroy = false
  tags          = { Name = "${var.cluster}.internal", Role = "network" }

  vpc {
    vpc_id = aws_vpc.vpc.id
  }
}
