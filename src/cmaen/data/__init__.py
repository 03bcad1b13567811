"""Reading FER2013, its splits and its FER+ votes, augmentation, and the detection of copies between splits."""
