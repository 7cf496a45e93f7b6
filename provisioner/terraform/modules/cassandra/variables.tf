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
  description = "A role of a level: count, type, root, data, iops, mbps, commitlog; sizes in GiB."
  type = object({
    count     = number
    type      = string
    root      = number
    data      = optional(number, 0)
    commitlog = optional(number, 0)
    iops      = optional(number, 3000)
    mbps      = optional(number, 125)
  })
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
