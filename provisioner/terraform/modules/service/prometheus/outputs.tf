output "nodes" {
  value = [for i, it in aws_instance.instance : {
    name            = "monitor-${i + 1}"
    role            = "monitor"
    address         = it.private_ip
    private_address = it.private_ip
    zone            = it.availability_zone
    instance_id     = it.id
    volumes         = [{ "for" = "monitor", serial = aws_ebs_volume.data[i].id }]
  }]
}

output "volumes" {
  value = [for i, it in aws_ebs_volume.data : { node = "monitor-${i + 1}", use = "data", id = it.id }]
}
