output "prefix" {
  description = "The value of `dynamodb.prefix` in annals.toml."
  value       = var.prefix
}

output "events_table_arn" {
  description = "The table of events."
  value       = aws_dynamodb_table.events.arn
}

output "state_table_arn" {
  description = "The table of state."
  value       = aws_dynamodb_table.state.arn
}

output "daemon_policy_json" {
  description = "What the role of a daemon needs, and no more."
  value       = data.aws_iam_policy_document.daemon.json
}

output "operator_policy_json" {
  description = "What `annals store create`, `describe`, `delete`, `export` and `import` need, and no more."
  value       = data.aws_iam_policy_document.operator.json
}
