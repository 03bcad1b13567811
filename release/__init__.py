"""What a release must pass, as ``make release-check`` runs it here and in CI; nothing of it is installed."""
