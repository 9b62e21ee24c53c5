# The two tables of a store, as `annals store create --driver dynamodb` makes them. A test of
# annals-store-dynamodb compares keys, types, the TTL attribute and the actions below with the code.

resource "aws_dynamodb_table" "events" {
  name                        = "${var.prefix}-events"
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.tags

  hash_key  = "pk"
  range_key = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    enabled        = true
    attribute_name = "ttl"
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  # Tables are always encrypted; this chooses whose key does it.
  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }
}

resource "aws_dynamodb_table" "state" {
  name                        = "${var.prefix}-state"
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.tags

  hash_key  = "pk"
  range_key = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "B"
  }

  ttl {
    enabled        = true
    attribute_name = "ttl"
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  # Tables are always encrypted; this chooses whose key does it.
  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }
}

# What a daemon may do. A transaction needs the permission of each of its actions, and none of its
# own.
data "aws_iam_policy_document" "daemon" {
  statement {
    sid       = "Events"
    resources = [aws_dynamodb_table.events.arn]

    actions = [
      "dynamodb:BatchGetItem",
      "dynamodb:ConditionCheckItem",
      "dynamodb:DeleteItem",
      "dynamodb:DescribeTable",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
    ]
  }

  statement {
    sid       = "State"
    resources = [aws_dynamodb_table.state.arn]

    actions = [
      "dynamodb:BatchGetItem",
      "dynamodb:BatchWriteItem",
      "dynamodb:ConditionCheckItem",
      "dynamodb:DeleteItem",
      "dynamodb:DescribeTable",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
    ]
  }
}

# What an operator may do, with `annals store create`, `describe`, `delete`, `export` and `import`.
# Whoever makes the tables with Terraform needs `create` only to begin the store in them.
data "aws_iam_policy_document" "operator" {
  statement {
    sid       = "Tables"
    resources = [aws_dynamodb_table.events.arn, aws_dynamodb_table.state.arn]

    actions = [
      "dynamodb:BatchGetItem",
      "dynamodb:BatchWriteItem",
      "dynamodb:ConditionCheckItem",
      "dynamodb:CreateTable",
      "dynamodb:DeleteItem",
      "dynamodb:DeleteTable",
      "dynamodb:DescribeContinuousBackups",
      "dynamodb:DescribeTable",
      "dynamodb:DescribeTimeToLive",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
      "dynamodb:UpdateContinuousBackups",
      "dynamodb:UpdateTable",
      "dynamodb:UpdateTimeToLive",
    ]
  }
}
