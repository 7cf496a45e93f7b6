# Prometheus looks at the cloud's resources by the machine's role: no key of a user is needed for it.

locals {
  role = var.machines.count > 0 ? 1 : 0
}

resource "aws_iam_role" "monitor" {
  count = local.role
  name  = "${var.cluster}-monitor"
  tags  = { Name = "${var.cluster}-monitor", Role = "monitor" }

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "monitor" {
  count = local.role
  name  = "look"
  role  = aws_iam_role.monitor[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["ec2:DescribeAvailabilityZones", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"]
      Resource = "*" # These actions know no narrower one.
    }]
  })
}

resource "aws_iam_instance_profile" "monitor" {
  count = local.role
  name  = "${var.cluster}-monitor"
  role  = aws_iam_role.monitor[0].name
  tags  = { Name = "${var.cluster}-monitor", Role = "monitor" }
}
