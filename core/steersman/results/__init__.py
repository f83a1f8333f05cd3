"""What a replay tells of one run and of many together, as plain values: JSON, tables, totals with their intervals."""
