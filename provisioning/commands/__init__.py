"""What each command does, over services and adapters; ``__main__`` knows how it is called."""
