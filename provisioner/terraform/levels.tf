# What machines there are: those of the level, but for what keys of config.json say. levels.json is written from the provisioner's
# levels.toml.

locals {
  levels = jsondecode(file("${path.module}/levels.json"))
  level  = local.levels[var.level]

  ports = merge({
    "alert-router"       = 9093
    "cassandra-exporter" = 9500
    "grafana"            = 3000
    "node-exporter"      = 9100
    "prometheus"         = 9090
    "traefik-exporter"   = 9101
  }, var.ports)

  # What names of resources begin with.
  cluster = "${var.prefix}-${var.environment}"

  has_bastion = !contains(var.leave_out, "bastion")
  has_traefik = !contains(var.leave_out, "traefik")
  # One machine has all three.
  has_monitor = length(setsubtract(["alert-router", "grafana", "prometheus"], var.leave_out)) > 0

  cassandra = merge(local.level.cassandra, {
    count = coalesce(var.cassandra_instance_count, local.level.cassandra.count)
    type  = coalesce(var.cassandra_instance_type, local.level.cassandra.type)
    data  = var.cassandra_ebs_volume_size != null ? var.cassandra_ebs_volume_size : try(local.level.cassandra.data, 0)
  })

  scalardl = merge(local.level.scalardl, {
    count = coalesce(var.scalar_autoscaling_group_desire, local.level.scalardl.count)
    type  = coalesce(var.scalar_instance_type, local.level.scalardl.type)
    root  = coalesce(var.scalar_ebs_volume_size, local.level.scalardl.root)
  })

  traefik = merge(local.level.traefik, {
    count = local.has_traefik ? coalesce(var.traefik_instance_count, local.level.traefik.count) : 0
    type  = coalesce(var.traefik_instance_type, local.level.traefik.type)
  })

  bastion = merge(local.level.bastion, {
    count = local.has_bastion ? local.level.bastion.count : 0
    type  = coalesce(var.bastion_instance_type, local.level.bastion.type)
  })

  monitor = merge(local.level.monitor, {
    count = local.has_monitor ? coalesce(var.monitor_instance_count, local.level.monitor.count) : 0
    type  = coalesce(var.monitor_instance_type, local.level.monitor.type)
    data  = coalesce(var.monitor_ebs_volume_size, local.level.monitor.data)
  })
}
