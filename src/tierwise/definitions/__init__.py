"""What a brand declares: knows no engine; one language, its nouns, where they come from, checked all at once."""
