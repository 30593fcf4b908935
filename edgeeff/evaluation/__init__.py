"""How right a file is on labelled images: the data, the predictions and what they say."""
