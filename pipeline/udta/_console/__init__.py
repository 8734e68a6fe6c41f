"""What is said to people, while something works and at its end, and how it is shown.

progress      a long call announces what it is doing now, for whoever listens
display       who listens in the command and in notebooks: a bar, or plain lines in a log
_notebook     whether a notebook runs us
interruption  Ctrl-C ends the command within a second, whatever it is doing
messages      standard output, standard error, and what the library logs
terminal      control characters of strange names escaped, where text is printed and nowhere else
text_table    aligned columns
"""
