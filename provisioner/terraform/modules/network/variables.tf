variable "cluster" {
  type = string
}

variable "key_name" {
  type = string
}

variable "allowed_cidrs" {
  type = list(string)
}

variable "bastion" {
  type = object({ count = number, type = string, root = number })
}

variable "nat" {
  description = "How many NAT gateways, of which each zone has at most one."
  type        = number
}

variable "has_monitor" {
  type = bool
}

variable "has_traefik" {
  type = bool
}

variable "ports" {
  description = "Where the provisioner's programs listen."
  type        = map(number)
}
