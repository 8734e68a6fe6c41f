"""What this machine has, what a process has only one of, and what depends on neither.

cores             how many there are for us, and threads of torch that do not fight for them
memory            how much there is, how much is taken, and keeping what is freed
device            where tensors are computed with, and torch's random numbers there
portable_random   random bits that are the same everywhere
process_state     what code of others may do to a process, undone
callable_package  packages that have the name of a verb
imported          registries whose entries are imported when they are asked for
children          other processes that work for this one
"""
