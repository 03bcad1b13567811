"""Audits: whether groups of people are recognised differently well, beyond what chance explains."""
