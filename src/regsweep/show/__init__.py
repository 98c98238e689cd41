"""What the commands show in the terminal: a module for each."""
