"""The page in two modes: given by ``cmaen serve``, or a folder of files whose networks run in the visitor's browser.

``page`` holds its files, ``files`` reads them, ``settings`` tells them what they share with the package, and ``site``
writes the folder that needs no server. Nothing here needs a web framework.
"""
