variable "cluster" {
  type = string
}

variable "key_name" {
  type = string
}

variable "image" {
  type = string
}

variable "machines" {
  type = object({ count = number, type = string, root = number })
}

variable "vpc_id" {
  type = string
}

variable "public_subnets" {
  type = list(object({ id = string, zone = string, cidr = string }))
}

variable "private_subnets" {
  type = list(object({ id = string, zone = string, cidr = string }))
}

variable "security_groups" {
  type = list(string)
}

variable "dns_zone" {
  type = string
}

variable "site_url" {
  type = string
}

variable "has_balancer" {
  type = bool
}

variable "has_tls" {
  type = bool
}

variable "allowed_cidrs" {
  type = list(string)
}
