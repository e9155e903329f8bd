"""What happens at the till: attempts, orders, undo, the day's sheet."""
