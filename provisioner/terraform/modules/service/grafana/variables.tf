variable "port" {
  type = number
}

variable "dns_zone" {
  type = string
}

variable "addresses" {
  description = "Of the monitors."
  type        = list(string)
}

variable "monitor" {
  description = "The monitors' security group."
  type        = string
}

variable "bastion" {
  description = "The bastion's."
  type        = string
}

variable "has_bastion" {
  description = "Whether there is one: its group is not known before it is made."
  type        = bool
}
