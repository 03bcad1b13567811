"""Reading FER2013, its splits and its FER+ votes, augmentation, and the check for copies between splits."""
