"""Studies: people, conditions and groups compared, with intervals and tests that are corrected for their number."""
