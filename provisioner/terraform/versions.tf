# A network of Scalar DL on AWS: `terraform init`, `terraform plan --var-file config.json -out plan.out`, `terraform apply plan.out`.
terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25" # The schema that the tests have.
    }
  }
}

provider "aws" {
  region = var.aws_region

  # Name and Role are each resource's own.
  default_tags {
    tags = merge(var.tags, { Environment = var.environment, Cluster = var.name })
  }
}
