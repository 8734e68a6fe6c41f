"""What this machine has, and what a process has only one of.

cores           how many there are for us, and threads of torch that do not fight for them
memory          how much there is, how much is taken, and keeping what is freed
device          where tensors are computed with, and torch's random numbers there
process_state   what code of others may do to a process, undone
children        other processes that work for this one
"""
