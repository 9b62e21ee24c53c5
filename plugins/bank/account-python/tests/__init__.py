"""Tests of the bank's accounts."""
