output "nodes" {
  value = [for i, it in aws_instance.instance : {
    name            = "traefik-${i + 1}"
    role            = "traefik"
    address         = it.private_ip
    private_address = it.private_ip
    zone            = it.availability_zone
    instance_id     = it.id
  }]
}

output "entry" {
  value = try(coalesce(var.site_url, try(aws_lb.balancer[0].dns_name, ""), try(aws_instance.instance[0].private_ip, "")), null)
}
