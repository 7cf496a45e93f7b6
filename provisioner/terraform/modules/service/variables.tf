variable "cluster" {
  type = string
}

variable "key_name" {
  type = string
}

variable "image" {
  type = string
}

variable "network" {
  type = object({
    vpc_id          = string
    dns_zone        = string
    public_subnets  = list(object({ id = string, zone = string, cidr = string }))
    private_subnets = list(object({ id = string, zone = string, cidr = string }))
  })
}

variable "security_groups" {
  type = map(list(string))
}

variable "traefik" {
  type = object({ count = number, type = string, root = number })
}

variable "monitor" {
  type = object({ count = number, type = string, root = number, data = number })
}

variable "has_grafana" {
  type = bool
}

variable "grafana_port" {
  type = number
}

variable "has_balancer" {
  type = bool
}

variable "has_tls" {
  type = bool
}

variable "site_url" {
  type = string
}

variable "allowed_cidrs" {
  type = list(string)
}
