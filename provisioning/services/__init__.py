"""What the commands do, apart from where the bytes come from and go to."""
