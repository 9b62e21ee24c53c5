variable "prefix" {
  description = "What the names of the tables begin with: `dynamodb.prefix` of the daemons."
  type        = string
  default     = "annals"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{1,200}$", var.prefix))
    error_message = "The prefix has 1 to 200 letters, digits, `-`, `_` and `.`."
  }
}

variable "deletion_protection" {
  description = "Whether the tables must be unprotected before they can be deleted."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Whether the tables can be restored as of any second of the last 35 days."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the tables. Null: one that AWS owns and that costs nothing."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the tables."
  type        = map(string)
  default     = {}
}
