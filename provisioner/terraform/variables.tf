# Keys of config.json, by their names there. Secrets are not among them, nor is what the machines are made without: of a value that is not
# declared here Terraform warns, and keeps it neither in the state nor in plan.out.

variable "name" {
  description = "What this deployment is called: the tag Cluster of its resources."
  type        = string
}

variable "prefix" {
  description = "A short word before the names of all resources."
  type        = string
}

variable "environment" {
  description = "One word for the kind of deployment, such as production."
  type        = string
}

variable "aws_key_name" {
  description = "A key pair of your AWS account, which the machines let in."
  type        = string
}

# The next three are the provisioner's, which does what is done on machines: here they are asked for when they are missing.

variable "docker_user" {
  description = "The user of the registry that has Scalar DL's images."
  type        = string
}

variable "private_key_file" {
  description = "The private key for SSH."
  type        = string
}

variable "tag" {
  description = "The tag of Scalar DL's image."
  type        = string
}

variable "aws_region" {
  description = "Where the machines are."
  type        = string
  default     = "us-east-1"
}

variable "allowed_cidrs" {
  description = "From where people may reach the bastion, and clients the entry point: nobody without."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for it in var.allowed_cidrs : can(cidrnetmask(it))])
    error_message = "allowed_cidrs takes IPv4 networks such as 203.0.113.0/24: the VPC has no IPv6."
  }
}

variable "level" {
  description = "How large the machines are, but for what other keys say: entry, medium, high or high-nvme."
  type        = string
  default     = "entry"

  validation {
    condition     = contains(keys(local.levels), var.level)
    error_message = "level must be one of ${join(", ", keys(local.levels))}."
  }
}

variable "leave_out" {
  description = "Resources that this network does without: alert-router, bastion, grafana, prometheus, traefik."
  type        = list(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.leave_out, ["alert-router", "bastion", "grafana", "prometheus", "traefik"])) == 0
    error_message = "leave_out takes alert-router, bastion, grafana, prometheus and traefik."
  }
}

variable "ports" {
  description = "Where programs listen, when their own ports are taken."
  type        = map(number)
  default     = {}
}

variable "site_url" {
  description = "The DNS name of this deployment, for one that the public reaches. Its zone is to be there, public: what follows the first dot, or the name itself when it has no more than one."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags for all resources, besides Name, Environment, Role and Cluster."
  type        = map(string)
  default     = {}
}

variable "bastion_instance_type" {
  type    = string
  default = null
}

variable "cassandra_ebs_volume_size" {
  description = "In GB."
  type        = number
  default     = null
}

variable "cassandra_instance_count" {
  type    = number
  default = null

  validation {
    condition     = var.cassandra_instance_count == null ? true : var.cassandra_instance_count >= 1
    error_message = "A network has at least one Cassandra node."
  }
}

variable "cassandra_instance_type" {
  type    = string
  default = null
}

variable "monitor_ebs_volume_size" {
  description = "In GB."
  type        = number
  default     = null
}

variable "monitor_instance_count" {
  type    = number
  default = null
}

variable "monitor_instance_type" {
  type    = string
  default = null
}

variable "scalar_autoscaling_group_desire" {
  description = "How many Scalar DL ledgers there are."
  type        = number
  default     = null

  validation {
    condition     = var.scalar_autoscaling_group_desire == null ? true : var.scalar_autoscaling_group_desire >= 1
    error_message = "A network has at least one Scalar DL ledger."
  }
}

variable "scalar_ebs_volume_size" {
  description = "In GB."
  type        = number
  default     = null
}

variable "scalar_instance_type" {
  type    = string
  default = null
}

variable "traefik_certificate_file" {
  description = "With it, the entry point has TLS of its own."
  type        = string
  default     = ""
}

variable "traefik_instance_count" {
  type    = number
  default = null
}

variable "traefik_instance_type" {
  type    = string
  default = null
}
