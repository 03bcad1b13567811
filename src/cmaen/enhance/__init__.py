"""Better pictures of faces before they are learnt or judged: super-resolution and colour, a folder at a time."""
