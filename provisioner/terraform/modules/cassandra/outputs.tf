output "nodes" {
  value = [for i, it in aws_instance.cassandra : {
    name            = "cassandra-${i + 1}"
    role            = "cassandra"
    address         = aws_network_interface.cassandra[i].private_ip
    private_address = aws_network_interface.cassandra[i].private_ip
    zone            = local.subnets[i].zone
    instance_id     = it.id
    volumes = concat(
      var.machines.data > 0 ? [{ "for" = "data", serial = aws_ebs_volume.data[i].id }] : [],
      var.machines.commitlog > 0 ? [{ "for" = "commitlog", serial = aws_ebs_volume.commitlog[i].id }] : [],
    )
  }]
}

output "volumes" {
  value = concat(
    [for i, it in aws_ebs_volume.data : { node = "cassandra-${i + 1}", use = "data", id = it.id }],
    [for i, it in aws_ebs_volume.commitlog : { node = "cassandra-${i + 1}", use = "commitlog", id = it.id }],
  )
}
