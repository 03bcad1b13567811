"""The page in two modes: served by ``cmaen serve``, or a folder of files whose networks run in the visitor's browser.

``page`` holds its files, ``files`` reads them, ``settings`` collects the values that they share with the package, and
``site`` writes the folder that needs no server. None of it needs a web framework.
"""
