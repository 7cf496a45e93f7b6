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

variable "subnets" {
  type = list(object({ id = string, zone = string, cidr = string }))
}

variable "security_groups" {
  type = list(string)
}

variable "dns_zone" {
  type = string
}
