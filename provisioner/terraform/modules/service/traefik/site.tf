# The public name: its record, and a certificate that AWS renews.

locals {
  site   = local.is_public ? 1 : 0
  labels = split(".", var.site_url)
  parent = length(local.labels) > 2 ? join(".", slice(local.labels, 1, length(local.labels))) : var.site_url
}

data "aws_route53_zone" "site" {
  count        = local.site
  name         = local.parent
  private_zone = false
}

resource "aws_route53_record" "site" {
  count   = local.site
  zone_id = data.aws_route53_zone.site[0].zone_id
  name    = var.site_url
  type    = "A"

  alias {
    name                   = aws_lb.balancer[0].dns_name
    zone_id                = aws_lb.balancer[0].zone_id
    evaluate_target_health = true
  }
}

resource "aws_acm_certificate" "site" {
  count             = local.site
  domain_name       = var.site_url
  validation_method = "DNS"
  tags              = { Name = var.site_url, Role = "traefik" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  count           = local.site
  zone_id         = data.aws_route53_zone.site[0].zone_id
  name            = one(aws_acm_certificate.site[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.site[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.site[0].domain_validation_options).resource_record_value]
  ttl             = 60
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "site" {
  count                   = local.site
  certificate_arn         = aws_acm_certificate.site[0].arn
  validation_record_fqdns = [aws_route53_record.validation[0].fqdn]
}
