"""What a run takes: the three ledgers, what they come to, what it costs, and the budgets it must keep to."""
