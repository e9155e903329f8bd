"""What the commands touch: files, certificates, processes, the terminal. One outside thing each."""
