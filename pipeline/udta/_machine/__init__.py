"""What this machine has, and what a process has only one of: cores, memory, devices, random generators."""
