output "nodes" {
  value = [for i, it in aws_instance.scalar : {
    name            = "scalardl-${i + 1}"
    role            = "scalardl"
    address         = it.private_ip
    private_address = it.private_ip
    zone            = it.availability_zone
    instance_id     = it.id
  }]
}
