"""What strategies there are, and what is told of them to people: read from disk, and none imported unasked."""
