"""What is said to people while something works, and how it is shown."""
