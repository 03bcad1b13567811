"""Recognition of people: who is who in a video, across its cuts, and across the files of one run.

It is off unless it is asked for. The features of faces are biometric data: they are kept in memory alone, and forgotten
at the end of a run (``docs/people.md``).
"""
